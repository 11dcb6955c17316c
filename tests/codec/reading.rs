//! Reads a whole byte stream with the codec, cut into pieces as asked, as a transport would.

use std::mem::MaybeUninit;

use cos_auth_proxy::http1::{
    AnswerTo, Body, BodyDecoder, BodyEvent, Field, HeadScan, HeadScanner, Limits, Version,
    read_request, read_response,
};

pub(crate) const LIMITS: Limits = Limits { head_bytes: 16 * 1024, fields: 100, target_bytes: 4096 };

/// A message as the codec understood it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The method or the status.
    pub(crate) what: String,
    pub(crate) target: Vec<u8>,
    pub(crate) version: Version,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) framing: Body,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<u8>,
    pub(crate) complete: bool,
}

/// How reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Between two messages, or after the last one of the connection.
    Clean,
    /// Inside a head.
    InsideHead,
    /// With the refusal of this name.
    Refused(&'static str),
}

/// What is on the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Requests,
    /// Any number of 1xx and one answer.
    Answer(AnswerTo),
}

/// Every message in `bytes`, which arrive in pieces cut at `cuts` (ascending), then end.
pub(crate) fn read_all(kind: Kind, bytes: &[u8], cuts: &[usize]) -> (Vec<Message>, Stop) {
    let mut reader = Reader { kind, messages: Vec::new(), buf: Vec::new(), at: At::head() };
    let mut start = 0;
    for &end in cuts.iter().chain([&bytes.len()]) {
        if let Err(stop) = reader.arrive(&bytes[start..end]) {
            return (reader.messages, stop);
        }
        start = end;
    }
    let stop = reader.end();
    (reader.messages, stop)
}

enum At {
    Head(HeadScanner),
    Body(BodyDecoder),
}

impl At {
    fn head() -> Self {
        Self::Head(HeadScanner::default())
    }
}

struct Reader {
    kind: Kind,
    messages: Vec<Message>,
    /// What arrived and was not consumed.
    buf: Vec<u8>,
    at: At,
}

impl Reader {
    fn arrive(&mut self, piece: &[u8]) -> Result<(), Stop> {
        self.buf.extend_from_slice(piece);
        while self.step()? {}
        Ok(())
    }

    /// One head or body event; `false` when more bytes are needed.
    fn step(&mut self) -> Result<bool, Stop> {
        match &mut self.at {
            At::Head(scanner) => {
                let found = match self.kind {
                    Kind::Requests => scanner.scan(&self.buf, &LIMITS).map_err(|f| f.name()),
                    Kind::Answer(_) => {
                        scanner.scan_response(&self.buf, &LIMITS).map_err(|f| f.name())
                    }
                };
                let HeadScan::Complete(length) = found.map_err(Stop::Refused)? else {
                    return Ok(false);
                };
                let head: Vec<u8> = self.buf.drain(..length).collect();
                let message = read_head(self.kind, &head).map_err(Stop::Refused)?;
                self.at = At::Body(match self.kind {
                    Kind::Requests => BodyDecoder::new(message.framing),
                    Kind::Answer(_) => BodyDecoder::of_answer(message.framing),
                });
                self.messages.push(message);
            }
            At::Body(decoder) => {
                let message = self.messages.last_mut().expect("a body follows a head");
                match decoder.decode(&self.buf).map_err(|f| Stop::Refused(f.name()))? {
                    BodyEvent::Data { start, end } => {
                        assert!(start < end && end <= self.buf.len(), "data {start}..{end}");
                        message.body.extend_from_slice(&self.buf[start..end]);
                        self.buf.drain(..end);
                    }
                    BodyEvent::NeedMore => {
                        assert!(!decoder.is_done());
                        self.buf.clear();
                        return Ok(false);
                    }
                    BodyEvent::End { consumed } => {
                        self.buf.drain(..consumed);
                        return self.end_message().map(|()| true);
                    }
                }
            }
        }
        Ok(true)
    }

    fn end_message(&mut self) -> Result<(), Stop> {
        let At::Body(decoder) = &self.at else { unreachable!("only a body ends") };
        assert!(decoder.is_done());
        let message = self.messages.last_mut().expect("a body follows a head");
        message.trailers = decoder.trailers().to_vec();
        message.complete = true;
        let informational = self.kind != Kind::Requests && message.what.starts_with('1');
        let last = self.kind != Kind::Requests && !informational;
        if last || !(message.keep_alive || informational) {
            return Err(Stop::Clean);
        }
        self.at = At::head();
        Ok(())
    }

    /// The sender closed its side.
    fn end(&mut self) -> Stop {
        match &mut self.at {
            At::Head(_) if self.buf.is_empty() && !self.messages.is_empty() => Stop::Clean,
            At::Head(_) => Stop::InsideHead,
            At::Body(decoder) => match decoder.close() {
                Ok(()) => self.end_message().map_or_else(|stop| stop, |()| Stop::Clean),
                Err(fault) => Stop::Refused(fault.name()),
            },
        }
    }
}

fn read_head(kind: Kind, head: &[u8]) -> Result<Message, &'static str> {
    let mut slots = [const { MaybeUninit::uninit() }; 128];
    match kind {
        Kind::Requests => {
            let head = read_request(head, &mut slots, &LIMITS).map_err(|f| f.name())?;
            Ok(Message {
                what: head.method.to_owned(),
                target: head.target.to_vec(),
                expects_continue: head.expects_continue,
                ..message(head.version, head.fields, head.body, head.keep_alive)
            })
        }
        Kind::Answer(to) => {
            let head = read_response(head, &mut slots, &LIMITS, to).map_err(|f| f.name())?;
            Ok(Message {
                what: head.status.to_string(),
                ..message(head.version, head.fields, head.body, head.keep_alive)
            })
        }
    }
}

fn message(version: Version, fields: &[Field<'_>], framing: Body, keep_alive: bool) -> Message {
    Message {
        what: String::new(),
        target: Vec::new(),
        version,
        fields: fields.iter().map(|f| (f.name.to_ascii_lowercase(), f.value.to_vec())).collect(),
        framing,
        keep_alive,
        expects_continue: false,
        body: Vec::new(),
        trailers: Vec::new(),
        complete: false,
    }
}
