//! Protobuf's wire format: a message as a run of numbered payloads. Knows no paths.

use super::{MAX_FIELD, Malformed};

/// How deep groups may nest; the limit that protobuf libraries have.
const MAX_DEPTH: usize = 100;

/// What follows a field number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Payload<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// A fixed-width number or a group.
    Skipped,
}

/// Reads a message from its front.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

enum Tag {
    Varint,
    Fixed64,
    Bytes,
    Open,
    Close,
    Fixed32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field's number and payload; `None` at the end of the message.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Payload<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, tag) = self.tag()?;
        let payload = match tag {
            Tag::Open => {
                self.skip_group(number)?;
                Payload::Skipped
            }
            tag => self.payload(&tag)?,
        };
        Ok(Some((number, payload)))
    }

    /// Skips up to the end of the group `outermost`. Without recursion: the nesting is the sender's choice.
    fn skip_group(&mut self, outermost: u32) -> Result<(), Malformed> {
        let mut open = vec![outermost];
        while let Some(&innermost) = open.last() {
            match self.tag()? {
                (number, Tag::Open) if open.len() < MAX_DEPTH => open.push(number),
                (number, Tag::Close) if number == innermost => drop(open.pop()),
                (_, Tag::Open | Tag::Close) => return Err(Malformed::Group),
                (_, tag) => drop(self.payload(&tag)?),
            }
        }
        Ok(())
    }

    fn payload(&mut self, tag: &Tag) -> Result<Payload<'a>, Malformed> {
        match tag {
            Tag::Varint => self.varint().map(Payload::Varint),
            Tag::Fixed64 => self.take(8).map(|_| Payload::Skipped),
            Tag::Fixed32 => self.take(4).map(|_| Payload::Skipped),
            Tag::Bytes => {
                let length = self.varint()?;
                self.take(length).map(Payload::Bytes)
            }
            Tag::Open | Tag::Close => Err(Malformed::Group),
        }
    }

    fn tag(&mut self) -> Result<(u32, Tag), Malformed> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| (1..=MAX_FIELD).contains(number));
        let tag = match key & 7 {
            0 => Tag::Varint,
            1 => Tag::Fixed64,
            2 => Tag::Bytes,
            3 => Tag::Open,
            4 => Tag::Close,
            5 => Tag::Fixed32,
            _ => return Err(Malformed::Tag),
        };
        Ok((number.ok_or(Malformed::Tag)?, tag))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(Malformed::Truncated)?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Malformed::Overlong);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::Overlong)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).or(Err(Malformed::Truncated))?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}
