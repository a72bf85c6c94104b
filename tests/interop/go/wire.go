// The messages of interop.Probe, written by hand: a symbol in field 4, where the gateway may look for it, and a payload
// in field 7. Replies have no form of their own; they are the bytes that the method says.
package main

import "encoding/binary"

const (
	service      = "interop.Probe"
	symbolField  = 4
	payloadField = 7
)

// A message; without symbol or payload the field is left out.
func request(symbol string, payload []byte) []byte {
	return append(field(symbolField, []byte(symbol)), field(payloadField, payload)...)
}

// The payload of a message.
func payloadOf(message []byte) []byte {
	found := []byte{}
	for at := 0; at < len(message); {
		tag, width := binary.Uvarint(message[at:])
		at += width
		length, width := binary.Uvarint(message[at:])
		at += width
		if tag>>3 == payloadField {
			found = message[at : at+int(length)]
		}
		at += int(length)
	}
	return found
}

func field(tag uint64, value []byte) []byte {
	if len(value) == 0 {
		return nil
	}
	head := make([]byte, 2*binary.MaxVarintLen64)
	width := binary.PutUvarint(head, tag<<3|2)
	width += binary.PutUvarint(head[width:], uint64(len(value)))
	return append(head[:width], value...)
}

// A numbered payload of some size; of none when it is too small for a number.
func numbered(index, size int) []byte {
	payload := make([]byte, size)
	if size >= 4 {
		binary.BigEndian.PutUint32(payload, uint32(index))
	}
	return payload
}
