//! The frames that carry no call: SETTINGS, PING, GOAWAY, RST_STREAM, WINDOW_UPDATE, PRIORITY (RFC 9113 section 6).

use crate::http2::{
    code::{Code, Fault, Wrong},
    event::{Event, Reset},
    floods::Flood,
    frame::{Head, flag, kind, number},
};

use super::{Connection, DRAIN_HEARD, DRAIN_PING, Drain, Greeting, Role};

type Outcome<'a> = Result<Option<Event<'a>>, Wrong>;

impl Connection {
    pub(super) fn settings<'a>(&mut self, head: Head, payload: &[u8]) -> Outcome<'a> {
        if head.stream != 0 {
            return Err(Fault::protocol("SETTINGS on a stream").into());
        }
        if head.has(flag::ACK) {
            if !payload.is_empty() {
                return Err(Fault::frame_size("SETTINGS that acknowledge and say something").into());
            }
            self.settings_are_known();
            return Ok(None);
        }
        self.floods.count(Flood::Settings)?;
        let before = self.peer;
        let lowest_table = self.peer.read(payload, self.role == Role::Client)?;
        self.encoder.set_max_table_size(lowest_table);
        self.encoder.set_max_table_size(self.peer.header_table);
        self.out.frame(kind::SETTINGS, flag::ACK, 0, &[]);
        self.change_windows(i64::from(self.peer.window) - i64::from(before.window))?;
        let first = self.greeting != Greeting::Done;
        self.greeting = Greeting::Done;
        Ok((first || self.peer.max_streams > before.max_streams).then_some(Event::Ready))
    }

    /// The peer has taken our settings: from here on it knows how small the windows of its streams are.
    fn settings_are_known(&mut self) {
        let early = std::mem::take(&mut self.early_window);
        if early > 0 {
            self.streams.iter_mut().for_each(|(_, stream)| stream.credit.narrow(early));
        }
    }

    /// The initial window counts for the streams that are open, too (RFC 9113 section 6.9.2).
    fn change_windows(&mut self, by: i64) -> Result<(), Fault> {
        if by == 0 {
            return Ok(());
        }
        let mut ready = Vec::new();
        for (id, stream) in self.streams.iter_mut() {
            let overflow = Fault::new(Code::FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE overflows a window");
            stream.window.change(by).map_err(|_overflow| overflow)?;
            if stream.could_send() {
                ready.push(id);
            }
        }
        ready.into_iter().for_each(|id| self.streams.stand_in_line(id));
        self.send_queued();
        Ok(())
    }

    pub(super) fn ping<'a>(&mut self, head: Head, payload: &[u8]) -> Outcome<'a> {
        if head.stream != 0 {
            return Err(Fault::protocol("PING on a stream").into());
        }
        if payload.len() != 8 {
            return Err(Fault::frame_size("PING that is not 8 bytes long").into());
        }
        if !head.has(flag::ACK) {
            self.floods.count(Flood::Pings)?;
            self.out.frame(kind::PING, flag::ACK, 0, payload);
        } else if payload == DRAIN_PING
            && let Drain::Announced(seconds) = self.drain
        {
            self.drain = Drain::Announced(seconds.min(DRAIN_HEARD));
        }
        Ok(None)
    }

    pub(super) fn goaway<'a>(&mut self, head: Head, payload: &[u8]) -> Outcome<'a> {
        if head.stream != 0 {
            return Err(Fault::protocol("GOAWAY on a stream").into());
        }
        let Some(&[l3, l2, l1, l0, c3, c2, c1, c0]) = payload.first_chunk::<8>() else {
            return Err(Fault::frame_size("GOAWAY shorter than 8 bytes").into());
        };
        self.floods.count(Flood::Settings)?;
        let last = u32::from_be_bytes([l3, l2, l1, l0]) & 0x7fff_ffff;
        let code = Code(u32::from_be_bytes([c3, c2, c1, c0]));
        let by_peer = Reset::ByPeer(code);
        if self.role == Role::Client {
            let lost: Vec<_> = self.streams.iter_mut().map(|(id, _)| id).filter(|id| *id > last).collect();
            for id in lost {
                let stream = self.streams.reset(id);
                let Some(stream) = self.forget(stream) else { continue };
                let reset = if stream.is_unanswered() { Reset::Unprocessed } else { by_peer };
                self.left_behind.extend(stream.token.map(|token| (token, reset)));
            }
        }
        let first = self.peer_leaves.replace(code).is_none();
        Ok(first.then_some(Event::GoingAway))
    }

    pub(super) fn rst_stream<'a>(&mut self, head: Head, payload: &[u8]) -> Outcome<'a> {
        let code = Code(number(payload, "RST_STREAM that is not 4 bytes long")?);
        if self.is_idle(head.stream) {
            return Err(Fault::protocol("RST_STREAM on a stream that was never opened").into());
        }
        if self.role == Role::Server {
            self.floods.count(Flood::Resets)?;
        }
        let stream = self.streams.end(head.stream);
        let Some(stream) = self.forget(stream) else { return Ok(None) };
        let unprocessed = code == Code::REFUSED_STREAM && stream.is_unanswered();
        let reset = if unprocessed { Reset::Unprocessed } else { Reset::ByPeer(code) };
        Ok(stream.token.map(|token| Event::Reset { token, reset }))
    }

    pub(super) fn window_update_came<'a>(&mut self, head: Head, payload: &[u8]) -> Outcome<'a> {
        let by = number(payload, "WINDOW_UPDATE that is not 4 bytes long")? & 0x7fff_ffff;
        self.floods.count(Flood::WindowUpdates)?;
        let id = head.stream;
        if id == 0 {
            if by == 0 {
                return Err(Fault::protocol("WINDOW_UPDATE of nothing").into());
            }
            let overflow = Fault::new(Code::FLOW_CONTROL_ERROR, "WINDOW_UPDATE overflows the connection's window");
            self.window.change(by.into()).map_err(|_overflow| overflow)?;
        } else {
            let Some(stream) = self.streams.get_mut(id) else {
                let idle = Fault::protocol("WINDOW_UPDATE on a stream that was never opened");
                return if self.is_idle(id) { Err(idle.into()) } else { Ok(None) };
            };
            if by == 0 {
                return Err(Wrong::stream(id, Code::PROTOCOL_ERROR, "WINDOW_UPDATE of nothing"));
            }
            let overflow = Wrong::stream(id, Code::FLOW_CONTROL_ERROR, "WINDOW_UPDATE overflows the stream's window");
            stream.window.change(by.into()).map_err(|_overflow| overflow)?;
            if !stream.could_send() {
                return Ok(None);
            }
            self.streams.stand_in_line(id);
        }
        self.send_queued();
        Ok(None)
    }

    /// Read and ignored (RFC 9113 section 5.3.2).
    pub(super) fn priority<'a>(&mut self, head: Head, payload: &[u8]) -> Outcome<'a> {
        if head.stream == 0 {
            return Err(Fault::protocol("PRIORITY on stream 0").into());
        }
        self.floods.count(Flood::Ignored)?;
        let why = "PRIORITY that is not 5 bytes long";
        if payload.len() == 5 {
            Ok(None)
        } else if self.is_idle(head.stream) {
            // A stream that was never opened cannot be reset.
            Err(Fault::frame_size(why).into())
        } else {
            Err(Wrong::stream(head.stream, Code::FRAME_SIZE_ERROR, why))
        }
    }
}
