//! Reads HTTP/1.1 off a wire: strict, plain, and sharing nothing with `http1`, so that a mistake
//! there cannot agree with itself.

/// What is wrong with some bytes.
pub(in crate::transport) type Flaw = String;

/// A head: its first line, and its fields with names in lower case.
#[derive(Debug, Clone)]
pub(in crate::transport) struct Head {
    pub(in crate::transport) first: Vec<u8>,
    pub(in crate::transport) fields: Vec<(String, Vec<u8>)>,
    /// Bytes, blank line included.
    pub(in crate::transport) len: usize,
}

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transport) enum Ends {
    /// There is none.
    AtOnce,
    After(usize),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    Close,
}

impl Head {
    /// The head that `bytes` begin with; `None` while it is not whole.
    pub(in crate::transport) fn read(bytes: &[u8]) -> Result<Option<Self>, Flaw> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let mut lines = Lines(bytes.get(..end + 2).unwrap_or_default());
        let first = lines.next().unwrap_or_default().to_vec();
        check_line(&first)?;
        let mut fields = Vec::new();
        for line in lines {
            check_line(line)?;
            let colon = line.iter().position(|&b| b == b':').ok_or("a field has no colon")?;
            let name = line.get(..colon).unwrap_or_default();
            let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
            if name.is_empty() || !name.iter().all(is_token) {
                return Err(format!("{:?} is no field name", String::from_utf8_lossy(name)));
            }
            let value = line.get(colon + 1..).unwrap_or_default().trim_ascii().to_vec();
            fields.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value));
        }
        Ok(Some(Self { first, fields, len: end + 4 }))
    }

    /// All values of a field.
    pub(in crate::transport) fn all<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.fields.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_slice())
    }

    /// The value of a field that may stand once at most.
    pub(in crate::transport) fn one(&self, name: &str) -> Result<Option<&[u8]>, Flaw> {
        let mut all = self.all(name);
        let value = all.next();
        if all.next().is_some() { Err(format!("{name} stands there twice")) } else { Ok(value) }
    }

    /// The value of a field as text; empty if it is not there.
    #[cfg(test)]
    pub(in crate::transport) fn text(&self, name: &str) -> String {
        self.all(name).next().map(String::from_utf8_lossy).unwrap_or_default().into_owned()
    }

    /// Method and target of a request.
    pub(in crate::transport) fn request_line(&self) -> Result<(String, Vec<u8>, &[u8]), Flaw> {
        let mut parts = self.first.split(|&b| b == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("a request line has not three parts".to_owned());
        };
        Ok((String::from_utf8_lossy(method).into_owned(), target.to_vec(), version))
    }

    /// The status of an answer.
    pub(in crate::transport) fn status(&self) -> Result<u16, Flaw> {
        let line = String::from_utf8_lossy(&self.first).into_owned();
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
        let status = status.filter(|digits| digits.len() == 3);
        let status = status.and_then(|digits| digits.parse().ok());
        status.ok_or_else(|| format!("{line:?} is no status line"))
    }

    fn declared(&self) -> Result<Option<Ends>, Flaw> {
        let length = self.one("content-length")?;
        let coding = self.one("transfer-encoding")?;
        match (length, coding) {
            (Some(_), Some(_)) => Err("both a length and a coding".to_owned()),
            (None, None) => Ok(None),
            (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => {
                Ok(Some(Ends::Chunked))
            }
            (None, Some(coding)) => {
                Err(format!("{:?} is no coding", String::from_utf8_lossy(coding)))
            }
            (Some(length), None) => {
                let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
                let text = String::from_utf8_lossy(length);
                let length = text.parse().ok().filter(|_| digits);
                length.map(|n| Some(Ends::After(n))).ok_or_else(|| format!("{text:?} is no length"))
            }
        }
    }

    /// Where the body of this request ends.
    pub(in crate::transport) fn request_ends(&self) -> Result<Ends, Flaw> {
        Ok(self.declared()?.unwrap_or(Ends::AtOnce))
    }

    /// Where the body of this answer ends.
    pub(in crate::transport) fn answer_ends(&self, to_head: bool) -> Result<Ends, Flaw> {
        let declared = self.declared()?;
        if to_head || matches!(self.status()?, 100..=199 | 204 | 304) {
            return Ok(Ends::AtOnce);
        }
        Ok(declared.unwrap_or(Ends::Close))
    }
}

/// Lines that each end with CR LF.
struct Lines<'b>(&'b [u8]);

impl<'b> Iterator for Lines<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let end = self.0.windows(2).position(|two| two == b"\r\n")?;
        let line = self.0.get(..end);
        self.0 = self.0.get(end + 2..).unwrap_or_default();
        line
    }
}

fn check_line(line: &[u8]) -> Result<(), Flaw> {
    if line.iter().any(|b| b"\r\n\0".contains(b)) {
        return Err(format!("a control byte in {:?}", String::from_utf8_lossy(line)));
    }
    Ok(())
}

/// A body as it comes.
#[derive(Debug)]
pub(in crate::transport) struct BodyReader {
    ends: Ends,
    pub(in crate::transport) data: Vec<u8>,
    pub(in crate::transport) whole: bool,
    at: At,
}

#[derive(Debug)]
enum At {
    Data {
        left: usize,
    },
    /// The line of a size, so far.
    Size(Vec<u8>),
    /// The line end after the data of a chunk.
    AfterData {
        left: usize,
    },
    /// A line after the last chunk, so far.
    Trailer(Vec<u8>),
}

impl BodyReader {
    pub(in crate::transport) fn new(ends: Ends) -> Self {
        let (left, whole) = match ends {
            Ends::AtOnce | Ends::After(0) => (0, true),
            Ends::After(n) => (n, false),
            Ends::Chunked => (0, false),
            Ends::Close => (usize::MAX, false),
        };
        let at = if ends == Ends::Chunked { At::Size(Vec::new()) } else { At::Data { left } };
        Self { ends, data: Vec::new(), whole, at }
    }

    /// Takes what is the body's; how many bytes that were.
    pub(in crate::transport) fn take(&mut self, bytes: &[u8]) -> Result<usize, Flaw> {
        let mut used = 0;
        while !self.whole
            && let Some(rest @ [next, ..]) = bytes.get(used..)
        {
            used += match &mut self.at {
                At::Data { left } => {
                    let data = rest.get(..rest.len().min(*left)).unwrap_or_default();
                    self.data.extend_from_slice(data);
                    *left -= data.len();
                    if *left == 0 && self.ends == Ends::Chunked {
                        self.at = At::AfterData { left: 2 };
                    } else if *left == 0 {
                        self.whole = true;
                    }
                    data.len()
                }
                At::AfterData { left } => {
                    if *next != if *left == 2 { b'\r' } else { b'\n' } {
                        return Err("a chunk's data has no line end".to_owned());
                    }
                    *left -= 1;
                    if *left == 0 {
                        self.at = At::Size(Vec::new());
                    }
                    1
                }
                At::Size(line) => {
                    line.push(*next);
                    if let Some(size) = line.strip_suffix(b"\r\n") {
                        self.at = match size_of(size)? {
                            0 => At::Trailer(Vec::new()),
                            left => At::Data { left },
                        };
                    }
                    1
                }
                At::Trailer(line) => {
                    line.push(*next);
                    if let Some(trailer) = line.strip_suffix(b"\r\n") {
                        check_line(trailer)?;
                        self.whole = trailer.is_empty();
                        line.clear();
                    }
                    1
                }
            };
        }
        Ok(used)
    }

    /// The connection ended in order.
    #[cfg(test)]
    pub(in crate::transport) fn close(&mut self) {
        self.whole |= self.ends == Ends::Close;
    }
}

fn size_of(line: &[u8]) -> Result<usize, Flaw> {
    let text = String::from_utf8_lossy(line);
    let digits = text.split(';').next().unwrap_or_default();
    let hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    check_line(line)?;
    usize::from_str_radix(digits, 16)
        .ok()
        .filter(|_| hex)
        .ok_or_else(|| format!("{text:?} is no size"))
}
