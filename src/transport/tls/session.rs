//! A TLS session without a socket: received records in, plaintext out, and the other way round.
//!
//! rustls keeps the keys and the rules; the bytes lie in rooms of ours. So many records are read
//! at once to where they are decrypted, and several go out with one call.

use std::{io::IoSlice, rc::Rc, sync::Arc};

use rustls::{
    ClientConfig, Error, HandshakeKind,
    client::{ClientConnectionData, UnbufferedClientConnection},
    pki_types::ServerName,
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, WriteTraffic},
};

use super::{
    super::buffers::Buffer,
    rooms::{NARROW, Rooms, WIDEST},
};

/// Plaintext of a full record.
const RECORD: usize = 16 * 1024;
/// Plaintext that is encrypted for one send: four full records.
const BATCH: usize = 4 * RECORD;
/// Header, padding byte, nonce and tag of a record take less.
const OVERHEAD: usize = 64;

type Traffic<'c> = WriteTraffic<'c, ClientConnectionData>;

/// One session, and the bytes on both sides of it.
pub(super) struct Session {
    connection: UnbufferedClientConnection,
    rooms: Rc<Rooms>,
    /// Records as they came; decrypted where they lie.
    received: Buffer,
    /// Records to be sent.
    sealed: Buffer,
    /// Plaintext that did not fit where its reader wanted it.
    left_over: Buffer,
    /// The last receive filled its room: the next one gets more.
    flowing: bool,
    /// The peer said that nothing follows.
    closed: bool,
    /// We said so.
    close_said: bool,
    failed: Option<Error>,
}

impl Session {
    pub(super) fn new(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        rooms: Rc<Rooms>,
    ) -> Result<Self, Error> {
        Ok(Self {
            connection: UnbufferedClientConnection::new(config, name)?,
            rooms,
            received: Buffer::default(),
            sealed: Buffer::default(),
            left_over: Buffer::default(),
            flowing: false,
            closed: false,
            close_said: false,
            failed: None,
        })
    }

    /// Takes the handshake as far as the received bytes go; whether it is complete.
    pub(super) fn shake_hands(&mut self) -> Result<bool, Error> {
        self.advance(&mut Space::none(), |_, _| ())?;
        Ok(!self.connection.is_handshaking())
    }

    /// Whether the keys of an earlier session were taken up.
    pub(super) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Decrypts into `into` what was received; 0 while that is no whole record.
    ///
    /// # Errors
    /// Of rustls, after the plaintext before it, and from then on again and again.
    pub(super) fn open(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        let mut space = Space { room: into, filled: 0 };
        let known = space.take(self.left_over.unread());
        self.left_over.consume(known);
        if self.left_over.is_empty() {
            self.left_over = Buffer::default();
        }
        if space.is_full() {
            return Ok(space.filled);
        }
        let advanced = self.advance(&mut space, |_, _| ());
        self.give_empty_room();
        match advanced {
            Err(failure) if space.filled == 0 => Err(failure),
            Ok(_) | Err(_) => Ok(space.filled),
        }
    }

    /// Whether the peer said that nothing follows, and everything before was opened.
    pub(super) fn is_closed(&self) -> bool {
        self.closed && self.left_over.is_empty()
    }

    /// Where the next received bytes go; empty when a message is too long to be one.
    pub(super) fn space(&mut self) -> &mut [u8] {
        let unread = self.received.unread().len();
        let better = match self.received.room() {
            0 if self.flowing => Some(self.rooms.wide().unwrap_or_else(|| self.rooms.narrow())),
            0 => Some(self.rooms.narrow()),
            NARROW if self.flowing => self.rooms.wide(),
            _ => None,
        };
        if let Some(better) = better {
            self.move_received(better);
        } else if unread == self.received.room() && unread < WIDEST {
            // Only a handshake is ever in more records than fit.
            self.move_received(Buffer::with_room(WIDEST));
        } else if self.received.space().len() < NARROW && !self.received.is_at_front() {
            self.received.make_room(0);
        }
        self.received.space()
    }

    fn move_received(&mut self, room: Buffer) {
        let old = std::mem::replace(&mut self.received, room);
        self.received.append(old.unread());
        self.rooms.give(old);
    }

    /// `n` bytes were received into [`Session::space`].
    pub(super) fn received(&mut self, n: usize) {
        self.received.filled(n);
        self.flowing = self.received.is_full();
    }

    /// A room that holds nothing is for others.
    pub(super) fn give_empty_room(&mut self) {
        if self.received.is_empty() {
            self.rooms.give(std::mem::take(&mut self.received));
        }
    }

    /// Encrypts as much of `parts` as goes out with one call, and tells how much that was.
    pub(super) fn seal(&mut self, parts: &[IoSlice<'_>]) -> Result<usize, Error> {
        let wanted = parts.iter().map(|part| part.len()).sum::<usize>().min(BATCH);
        if self.sealed.room() == 0 {
            let fits = wanted + (parts.len() + 1) * OVERHEAD <= NARROW;
            let wide = if fits { None } else { self.rooms.wide() };
            self.sealed = wide.unwrap_or_else(|| self.rooms.narrow());
        }
        // What is received meanwhile is opened now: nothing can be encrypted before.
        let sealed = self.advance(&mut Space::none(), |traffic, sealed| {
            let mut taken = 0;
            for piece in parts.iter().flat_map(|part| part.chunks(RECORD)) {
                let piece = piece.get(..BATCH - taken).unwrap_or(piece);
                let fits = sealed.space().len() >= piece.len() + OVERHEAD;
                if taken == BATCH || (taken > 0 && !fits) {
                    break;
                }
                encrypt(traffic, piece, sealed)?;
                taken += piece.len();
            }
            Ok(taken)
        })?;
        self.give_empty_room();
        // Both sides said that nothing follows.
        sealed.unwrap_or(Err(Error::EncryptError))
    }

    /// Says that nothing follows. Does nothing when that was said, or the session has failed.
    pub(super) fn say_close(&mut self) {
        if self.close_said || self.failed.is_some() {
            return;
        }
        self.close_said = true;
        // A failure is told by the next read.
        let _: Result<_, _> = self.advance(&mut Space::none(), |traffic, sealed| {
            sealed.make_room(sealed.unread().len() + NARROW);
            if let Ok(n) = traffic.queue_close_notify(sealed.space()) {
                sealed.filled(n);
            }
        });
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.received.room() + self.sealed.room() + self.left_over.room()
    }

    /// Records to be sent.
    pub(super) fn to_send(&self) -> &[u8] {
        self.sealed.unread()
    }

    /// The first `n` bytes of [`Session::to_send`] are out.
    pub(super) fn sent(&mut self, n: usize) {
        self.sealed.consume(n);
        if self.sealed.is_empty() {
            self.rooms.give(std::mem::take(&mut self.sealed));
        }
    }

    /// Goes through what was received until `into` is full or nothing whole is left; then, where
    /// the session allows traffic, does `then`.
    fn advance<T>(
        &mut self,
        into: &mut Space<'_>,
        then: impl FnOnce(&mut Traffic<'_>, &mut Buffer) -> T,
    ) -> Result<Option<T>, Error> {
        if let Some(failure) = &self.failed {
            return Err(failure.clone());
        }
        loop {
            let status = self.connection.process_tls_records(self.received.unread_mut());
            let mut used = status.discard;
            let mut stop = false;
            let step = match status.state {
                Ok(ConnectionState::ReadTraffic(mut records)) => loop {
                    match records.next_record() {
                        Some(Ok(record)) => {
                            used += record.discard;
                            let fits = into.take(record.payload);
                            let rest = record.payload.get(fits..).unwrap_or_default();
                            if !rest.is_empty() {
                                self.left_over.append(rest);
                            }
                        }
                        Some(Err(failure)) => break Err(failure),
                        None => {
                            stop = into.is_full() && !into.room.is_empty();
                            break Ok(());
                        }
                    }
                },
                Ok(ConnectionState::EncodeTlsData(mut message)) => {
                    encode(&mut message, &mut self.sealed)
                }
                // What is encoded is sent before anything else.
                Ok(ConnectionState::TransmitTlsData(message)) => {
                    message.done();
                    Ok(())
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.closed = true;
                    Ok(())
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let made = then(&mut traffic, &mut self.sealed);
                    self.received.consume(used);
                    return Ok(Some(made));
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => {
                    stop = true;
                    Ok(())
                }
                // A client never gets it.
                Ok(ConnectionState::ReadEarlyData(_)) => Err(Error::HandshakeNotComplete),
                Ok(_) => Err(Error::General("a state this version does not know".to_owned())),
                Err(failure) => Err(failure),
            };
            self.received.consume(used);
            if let Err(failure) = step {
                return Err(self.fail(failure));
            }
            if stop {
                return Ok(None);
            }
        }
    }

    /// Remembers a failure, and leaves the alert that tells the peer of it to be sent.
    fn fail(&mut self, failure: Error) -> Error {
        while self.connection.wants_write() {
            let status = self.connection.process_tls_records(self.received.unread_mut());
            let Ok(ConnectionState::EncodeTlsData(mut alert)) = status.state else { break };
            if encode(&mut alert, &mut self.sealed).is_err() {
                break;
            }
        }
        self.failed = Some(failure.clone());
        failure
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.rooms.give(std::mem::take(&mut self.received));
        self.rooms.give(std::mem::take(&mut self.sealed));
    }
}

/// Where a reader wants its plaintext.
struct Space<'a> {
    room: &'a mut [u8],
    filled: usize,
}

impl Space<'_> {
    fn none() -> Self {
        Self { room: &mut [], filled: 0 }
    }

    fn is_full(&self) -> bool {
        self.filled == self.room.len()
    }

    /// Copies as much as fits and tells how much that was.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let space = self.room.get_mut(self.filled..).unwrap_or_default();
        let n = bytes.len().min(space.len());
        if let (Some(space), Some(bytes)) = (space.get_mut(..n), bytes.get(..n)) {
            space.copy_from_slice(bytes);
        }
        self.filled += n;
        n
    }
}

/// Encrypts one piece, after whatever rustls wants to have said before it.
fn encrypt(traffic: &mut Traffic<'_>, piece: &[u8], sealed: &mut Buffer) -> Result<(), Error> {
    loop {
        match traffic.encrypt(piece, sealed.space()) {
            Ok(n) => {
                sealed.filled(n);
                return Ok(());
            }
            Err(EncryptError::InsufficientSize(short)) => {
                sealed.make_room(sealed.unread().len() + short.required_size);
            }
            // No key may encrypt for ever, and TLS 1.2 cannot change it.
            Err(EncryptError::EncryptExhausted) => return Err(Error::EncryptError),
        }
    }
}

fn encode(
    message: &mut EncodeTlsData<'_, ClientConnectionData>,
    sealed: &mut Buffer,
) -> Result<(), Error> {
    loop {
        match message.encode(sealed.space()) {
            Ok(n) => {
                sealed.filled(n);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(short)) => {
                sealed.make_room(sealed.unread().len() + short.required_size);
            }
            Err(EncodeError::AlreadyEncoded) => return Err(Error::HandshakeNotComplete),
        }
    }
}
