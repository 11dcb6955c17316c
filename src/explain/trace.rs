//! Takes a request head and an answer out of what curl shows: `-v`, `--trace`, `--trace-ascii`.

/// What a trace holds of its last request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Transcript {
    /// Request line and headers.
    pub(super) request: Vec<u8>,
    /// Status line and headers.
    pub(super) answer: Vec<u8>,
    /// The answer's body, and whatever else the trace shows.
    pub(super) body: Vec<u8>,
    /// Unprintable bytes are dots.
    pub(super) blurred: bool,
}

/// Reads a trace, or, if it is none, a bare request head with an answer or an error after it.
pub(super) fn read(text: &[u8]) -> Transcript {
    let marked = |mark: &[u8]| lines(text).any(|line| without_stamp(line).starts_with(mark));
    if marked(b"=> Send header") {
        dumped(text)
    } else if marked(b"> ") {
        verbose(text)
    } else {
        bare(text)
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// A line without the time and the ids that `--trace-time` and `--trace-ids` put before it.
fn without_stamp(line: &[u8]) -> &[u8] {
    let mut rest = line;
    let is_time = |stamp: &[u8]| {
        stamp.iter().enumerate().all(|(at, byte)| match at {
            2 | 5 => *byte == b':',
            8 => *byte == b'.',
            15 => *byte == b' ',
            _ => byte.is_ascii_digit(),
        })
    };
    if let Some((stamp, after)) = rest.split_at_checked(16)
        && is_time(stamp)
    {
        rest = after;
    }
    if rest.first() == Some(&b'[')
        && let Some(end) = memchr::memchr(b']', rest).filter(|end| *end < 16)
        && rest.get(end + 1) == Some(&b' ')
    {
        rest = &rest[end + 2..];
    }
    rest
}

/// `-v` with the answer's body in between, as on a terminal or with `2>&1`.
fn verbose(text: &[u8]) -> Transcript {
    let mut found = Transcript::default();
    let mut in_request = false;
    for line in text.split(|&byte| byte == b'\n') {
        let whole = line.strip_suffix(b"\r").unwrap_or(line);
        let marked = without_stamp(whole);
        let under = |mark: u8| match marked {
            [first, b' ', rest @ ..] if *first == mark => Some(rest),
            [first] if *first == mark => Some(&b""[..]),
            _ => None,
        };
        if let Some(sent) = under(b'>') {
            if !in_request {
                found = Transcript::default();
            }
            in_request = true;
            push_line(&mut found.request, sent);
            continue;
        }
        in_request = false;
        if let Some(received) = under(b'<') {
            if received.starts_with(b"HTTP/") {
                found.answer.clear();
                found.body.clear();
            }
            push_line(&mut found.answer, received);
        } else if under(b'*').is_none() && under(b'{').is_none() && under(b'}').is_none() {
            found.body.extend_from_slice(line);
            found.body.push(b'\n');
        }
    }
    found
}

/// What a block of `--trace` or `--trace-ascii` is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    RequestHead,
    AnswerHead,
    AnswerBody,
    Other,
}

fn dumped(text: &[u8]) -> Transcript {
    let mut found = Transcript::default();
    let mut block = Block::Other;
    let mut bytes = Bytes::default();
    for line in lines(text) {
        let marked = without_stamp(line);
        let next = if marked.starts_with(b"=> Send header") {
            Some(Block::RequestHead)
        } else if marked.starts_with(b"<= Recv header") {
            Some(Block::AnswerHead)
        } else if marked.starts_with(b"<= Recv data") {
            Some(Block::AnswerBody)
        } else if [&b"=> "[..], b"<= ", b"== "].iter().any(|mark| marked.starts_with(mark)) {
            Some(Block::Other)
        } else {
            None
        };
        match next {
            Some(next) => {
                keep(&mut found, block, &mut bytes);
                block = next;
                bytes = Bytes::of_size(marked);
            }
            None => bytes.push(line),
        }
    }
    keep(&mut found, block, &mut bytes);
    found
}

/// Puts a finished block where it belongs.
fn keep(found: &mut Transcript, block: Block, bytes: &mut Bytes) {
    let Bytes { data, size, dots } = std::mem::take(bytes);
    let mut data = data;
    if dots && data.len() + 2 == size {
        data.extend_from_slice(b"\r\n");
    }
    match block {
        Block::RequestHead => {
            // The blank line ended the head before: this is another request.
            if found.request.ends_with(b"\r\n\r\n") || !found.answer.is_empty() {
                *found = Transcript::default();
            }
            found.request.extend(data);
        }
        Block::AnswerHead => {
            if data.starts_with(b"HTTP/") {
                found.answer.clear();
                found.body.clear();
            }
            found.answer.extend(data);
        }
        Block::AnswerBody => {
            found.blurred |= dots;
            found.body.extend(data);
        }
        Block::Other => {}
    }
}

/// The bytes of one block, told by lines of `offset: bytes`.
#[derive(Default)]
struct Bytes {
    data: Vec<u8>,
    /// As the block's first line says.
    size: usize,
    /// Told as text, in which unprintable bytes are dots.
    dots: bool,
}

impl Bytes {
    /// `=> Send header, 123 bytes (0x7b)`
    fn of_size(line: &[u8]) -> Self {
        let line = String::from_utf8_lossy(line);
        let size = line.split(", ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        Self { size: size.unwrap_or(0), ..Self::default() }
    }

    fn push(&mut self, line: &[u8]) {
        let Some((offset, rest)) = offset(line) else { return };
        if let Some(bytes) = hexadecimal(rest) {
            self.data.extend(bytes);
            return;
        }
        self.dots = true;
        // Line ends are not shown: the offsets tell of them.
        if offset == self.data.len() + 2 {
            self.data.extend_from_slice(b"\r\n");
        }
        self.data.extend_from_slice(rest);
    }
}

fn offset(line: &[u8]) -> Option<(usize, &[u8])> {
    let at = memchr::memmem::find(line, b": ").filter(|at| (4..=12).contains(at))?;
    let digits = str::from_utf8(&line[..at]).ok()?;
    Some((usize::from_str_radix(digits, 16).ok()?, &line[at + 2..]))
}

/// Sixteen columns of `xx `, blank behind the last byte.
fn hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let columns = text.get(..48)?;
    let mut bytes = Vec::new();
    for column in columns.chunks_exact(3) {
        if column == b"   " {
            continue;
        }
        let digits = str::from_utf8(column.strip_suffix(b" ")?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?);
    }
    (!bytes.is_empty()).then_some(bytes)
}

/// A head as it is, and what follows its blank line.
fn bare(text: &[u8]) -> Transcript {
    let mut found = Transcript::default();
    let mut rest = text;
    let mut in_head = true;
    while in_head && !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        let line = line.trim_ascii_end();
        if !line.is_empty() {
            push_line(&mut found.request, line);
        } else if !found.request.is_empty() {
            in_head = false;
        }
    }
    found.answer = rest.to_vec();
    found.body = rest.to_vec();
    found
}

fn push_line(head: &mut Vec<u8>, line: &[u8]) {
    head.extend_from_slice(line);
    head.extend_from_slice(b"\r\n");
}

/// Line feeds for the dots that stand for them in a `FormatString`, told by the names that the
/// signature lists.
pub(super) fn mended(text: &str, headers: &[String], parameters: &[String]) -> String {
    if text.contains('\n') {
        return text.to_owned();
    }
    if let Some(times) = text.strip_prefix("sha1.") {
        return format!("sha1\n{}", times.replace('.', "\n"));
    }
    let mut bytes = text.as_bytes().to_vec();
    let mut end = bytes.len();
    let mut line_end = |bytes: &mut Vec<u8>, at: Option<usize>| {
        let at = at.filter(|at| bytes.get(*at) == Some(&b'.'));
        if let Some(at) = at {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = b'\n';
            }
            end = at;
        }
        end
    };
    let first = memchr::memchr(b'.', &bytes);
    let mut at = line_end(&mut bytes, text.len().checked_sub(1));
    for names in [headers, parameters] {
        let named = |name: &String| {
            let mark = format!(".{name}=");
            memchr::memmem::rfind(bytes.get(..at).unwrap_or_default(), mark.as_bytes())
        };
        let start = names.iter().filter_map(named).min();
        let before = if names.is_empty() { at.checked_sub(1) } else { start };
        at = line_end(&mut bytes, before);
    }
    if let Some(byte) = first.and_then(|at| bytes.get_mut(at)) {
        *byte = b'\n';
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What `--trace-ascii` makes of bytes.
pub(super) fn blurred(text: &str) -> String {
    let dots = |byte: u8| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' };
    text.bytes().map(dots).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

    #[test]
    fn verbose_output_is_read_with_what_stands_around_it() {
        let text = "*   Trying 127.0.0.1:80...\n> HEAD /old HTTP/1.1\r\n> Host: h\r\n> \r\n< HTTP/1.1 200 OK\r\n< \r\n\
                    12:00:00.123456 [0-0] > GET /a HTTP/1.1\r\n> Host: h\r\n>\r\n* done\n< HTTP/1.1 403 Forbidden\r\n\
                    < Date: d\r\n< \r\n{ [20 bytes data]\n<Error>\n<Code>x</Code>\n</Error>* Connection #0 left intact\n";
        let found = read(text.as_bytes());
        assert_eq!(found.request, HEAD);
        assert_eq!(found.answer, b"HTTP/1.1 403 Forbidden\r\nDate: d\r\n\r\n");
        assert_eq!(found.body, b"<Error>\n<Code>x</Code>\n</Error>* Connection #0 left intact\n\n");
        assert!(!found.blurred);
    }

    #[test]
    fn a_hexadecimal_trace_keeps_every_byte() {
        let text = "== Info: x\n=> Send header, 28 bytes (0x1c)\n\
            0000: 47 45 54 20 2f 61 20 48 54 54 50 2f 31 2e 31 0d GET /a HTTP/1.1.\n\
            0010: 0a 48 6f 73 74 3a 20 68 0d 0a 0d 0a             .Host: h....\n\
            <= Recv header, 14 bytes (0xe)\n\
            0000: 48 54 54 50 2f 31 2e 31 20 34 30 33 0d 0a       HTTP/1.1 403..\n\
            <= Recv data, 3 bytes (0x3)\n\
            0000: 0a e8 2e                                        ...\n== Info: y\n";
        let found = read(text.as_bytes());
        assert_eq!(found.request, HEAD);
        assert_eq!(found.answer, b"HTTP/1.1 403\r\n");
        assert_eq!((found.body.as_slice(), found.blurred), (&b"\n\xe8."[..], false));
    }

    #[test]
    fn an_ascii_trace_is_put_together_by_its_offsets() {
        let text = "=> Send header, 28 bytes (0x1c)\n0000: GET /a HTTP/1.1\n0011: Host: h\n001a: \n\
            <= Recv header, 14 bytes (0xe)\n0000: HTTP/1.1 403\n\
            <= Recv data, 70 bytes (0x46)\n0000: <Error>.0123456789012345678901234567890123456789012345678901234\n003f: 5678901\n";
        let found = read(text.as_bytes());
        assert_eq!(found.request, HEAD);
        assert_eq!(found.body.len(), 70);
        assert!(found.blurred);
    }

    #[test]
    fn a_bare_head_is_followed_by_an_answer() {
        let found = read(b"\nGET /a HTTP/1.1\nHost: h\n\nHTTP/1.1 403 x\n\n<Error>");
        assert_eq!(found.request, b"GET /a HTTP/1.1\r\nHost: h\r\n");
        assert_eq!(found.body, b"HTTP/1.1 403 x\n\n<Error>");
    }

    #[test]
    fn dots_become_line_feeds_where_the_lists_say_so() {
        let names =
            |list: &[&str]| -> Vec<String> { list.iter().map(|n| (*n).to_owned()).collect() };
        for (text, headers, parameters, expected) in [
            ("get./a.txt..host=a.b.", &["host"][..], &[][..], "get\n/a.txt\n\nhost=a.b\n"),
            (
                "get./a.txt.acl=.date=x&host=a.b.",
                &["date", "host"],
                &["acl"],
                "get\n/a.txt\nacl=\ndate=x&host=a.b\n",
            ),
            ("put./a.txt...", &[], &[], "put\n/a.txt\n\n\n"),
            ("sha1.1;2.ab.", &[], &[], "sha1\n1;2\nab\n"),
        ] {
            assert_eq!(mended(text, &names(headers), &names(parameters)), expected);
        }
    }
}
