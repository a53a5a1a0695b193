//! Items out of JSON files of any size: the elements of the arrays that matter, one after the other,
//! whether the file is JSON lines, one document on many lines, or several. Only the structure is
//! followed here; whether an item is good JSON is found out when it is counted.

use std::io::{self, BufRead};

/// What counts as an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Every value at the top.
    Values,
    /// The elements of a list at the top, or of the lists under these keys of an object at the top.
    Elements(&'static [&'static str]),
}

/// What the reader came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// An item, and the number of the key that its list stands under (0 at the top).
    Item(usize),
    /// Something that cannot be an item, at this offset; reading goes on behind it.
    Broken(u64, &'static str),
    /// The end of the input.
    End,
}

/// A reader of items.
pub(crate) struct Items<R> {
    input: R,
    shape: Shape,
    // A line holds whole values, so a line break within one tells that it is broken.
    lines: bool,
    item_bytes_max: usize,
    place: Place,
    offset: u64,
    key: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Object,
    List { key: usize, in_object: bool },
    End,
}

enum Copied {
    Whole,
    TooLarge,
    Broken(&'static str),
}

const KEY_BYTES_MAX: usize = 256;
const CUT_SHORT: &str = "the input ends within a value";
const BROKEN_LINE: &str = "the line ends within a value";
const NO_JSON: &str = "this is not JSON";

impl<R: BufRead> Items<R> {
    /// Reads items of at most `item_bytes_max` bytes from `input`.
    pub(crate) fn new(input: R, shape: Shape, lines: bool, item_bytes_max: usize) -> Items<R> {
        Items { input, shape, lines, item_bytes_max, place: Place::Top, offset: 0, key: Vec::new() }
    }

    /// Puts the next item into `item`.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub(crate) fn next(&mut self, item: &mut Vec<u8>) -> io::Result<Step> {
        loop {
            let step = match self.place {
                Place::End => return Ok(Step::End),
                Place::Top => self.at_top(item)?,
                Place::Object => self.in_object()?,
                Place::List { key, in_object } => self.in_list(item, key, in_object)?,
            };
            match step {
                Some(Step::Broken(_, NO_JSON | BROKEN_LINE)) if self.lines => {
                    self.skip_line()?;
                    self.place = Place::Top;
                }
                Some(Step::Broken(_, NO_JSON | BROKEN_LINE | CUT_SHORT)) => self.place = Place::End,
                _ => {}
            }
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn at_top(&mut self, item: &mut Vec<u8>) -> io::Result<Option<Step>> {
        match (self.peek()?, self.shape) {
            (None, _) => {
                self.place = Place::End;
                Ok(Some(Step::End))
            }
            // Byte order marks, and commas between values as some tools write them.
            (Some(0xef | 0xbb | 0xbf | b','), _) => self.pass(),
            (Some(b'['), Shape::Elements(_)) => {
                self.place = Place::List { key: 0, in_object: false };
                self.pass()
            }
            (Some(b'{'), Shape::Elements(_)) => {
                self.place = Place::Object;
                self.pass()
            }
            (Some(b'{' | b'['), Shape::Values) => self.item(item, 0),
            _ => Ok(Some(Step::Broken(self.offset, NO_JSON))),
        }
    }

    fn in_object(&mut self) -> io::Result<Option<Step>> {
        match self.peek()? {
            None => Ok(Some(Step::Broken(self.offset, CUT_SHORT))),
            Some(b'}') => {
                self.place = Place::Top;
                self.pass()
            }
            Some(b',') => self.pass(),
            Some(b'"') => self.member(),
            Some(b'\n') => Ok(Some(Step::Broken(self.offset, BROKEN_LINE))),
            Some(_) => Ok(Some(Step::Broken(self.offset, NO_JSON))),
        }
    }

    // A key and its value: the list that is wanted, or something to pass over.
    fn member(&mut self) -> io::Result<Option<Step>> {
        let mut name = std::mem::take(&mut self.key);
        let copied = self.copy(&mut name, KEY_BYTES_MAX)?;
        let Shape::Elements(wanted) = self.shape else { return Ok(None) };
        let text = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\""));
        let key = wanted.iter().position(|key| Some(key.as_bytes()) == text);
        self.key = name;
        if let Copied::Broken(why) = copied {
            return Ok(Some(Step::Broken(self.offset, why)));
        }
        if self.peek()? != Some(b':') {
            return Ok(Some(Step::Broken(self.offset, NO_JSON)));
        }
        self.pass()?;
        match (self.peek()?, key) {
            (Some(b'['), Some(key)) => {
                self.place = Place::List { key, in_object: true };
                self.pass()
            }
            (None, _) => Ok(Some(Step::Broken(self.offset, CUT_SHORT))),
            _ => match self.copy(&mut Vec::new(), 0)? {
                Copied::Broken(why) => Ok(Some(Step::Broken(self.offset, why))),
                Copied::Whole | Copied::TooLarge => Ok(None),
            },
        }
    }

    fn in_list(&mut self, item: &mut Vec<u8>, key: usize, in_object: bool) -> io::Result<Option<Step>> {
        match self.peek()? {
            None => Ok(Some(Step::Broken(self.offset, CUT_SHORT))),
            Some(b']') => {
                self.place = if in_object { Place::Object } else { Place::Top };
                self.pass()
            }
            Some(b',') => self.pass(),
            Some(b'\n') => Ok(Some(Step::Broken(self.offset, BROKEN_LINE))),
            Some(b'}' | b':') => Ok(Some(Step::Broken(self.offset, NO_JSON))),
            Some(_) => self.item(item, key),
        }
    }

    fn item(&mut self, item: &mut Vec<u8>, key: usize) -> io::Result<Option<Step>> {
        let start = self.offset;
        Ok(Some(match self.copy(item, self.item_bytes_max)? {
            Copied::Whole => Step::Item(key),
            Copied::TooLarge => Step::Broken(start, "the item is larger than the limit"),
            Copied::Broken(why) => Step::Broken(start, why),
        }))
    }

    // The next byte that is no white space, not taken; a line break counts within a line's value.
    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let breaks = self.lines && self.place != Place::Top;
            let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r') || (*byte == b'\n' && !breaks);
            let blank = buffer.iter().take_while(|byte| space(byte)).count();
            let found = buffer.get(blank).copied();
            self.take(blank);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    fn pass(&mut self) -> io::Result<Option<Step>> {
        self.take(1);
        Ok(None)
    }

    fn take(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.offset += bytes as u64;
    }

    // Moves one value into `out`, as long as it fits.
    fn copy(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> io::Result<Copied> {
        out.clear();
        let mut scan = Scan { lines: self.lines, ..Scan::default() };
        let mut fits = true;
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                let scalar = scan.depth == 0 && !scan.in_string && scan.started;
                return Ok(if scalar { Copied::Whole } else { Copied::Broken(CUT_SHORT) });
            }
            let (used, state) = scan.over(buffer);
            fits &= out.len() + used <= bytes_max;
            if fits {
                out.extend_from_slice(&buffer[..used]);
            }
            self.take(used);
            match state {
                State::Open => {}
                State::Done if fits => return Ok(Copied::Whole),
                State::Done => return Ok(Copied::TooLarge),
                State::Broken(why) => return Ok(Copied::Broken(why)),
            }
        }
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            let found = buffer.iter().position(|byte| *byte == b'\n');
            let used = found.map_or(buffer.len(), |at| at + 1);
            let end = buffer.is_empty();
            self.take(used);
            if end || found.is_some() {
                return Ok(());
            }
        }
    }
}

// Follows one value through buffers: nesting and strings, no grammar.
#[derive(Default)]
struct Scan {
    lines: bool,
    started: bool,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

enum State {
    Open,
    Done,
    Broken(&'static str),
}

impl Scan {
    // How many bytes of `buffer` belong to the value, and whether it ends with them.
    fn over(&mut self, buffer: &[u8]) -> (usize, State) {
        let mut at = 0;
        while at < buffer.len() {
            let byte = buffer[at];
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => {
                        self.in_string = false;
                        if self.depth == 0 {
                            return (at + 1, State::Done);
                        }
                    }
                    b'\n' if self.lines => return (at, State::Broken(BROKEN_LINE)),
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    // The end of a scalar belongs to what holds it.
                    b'}' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => {
                        return (at, State::Done);
                    }
                    b'}' | b']' => {
                        self.depth -= 1;
                        if self.depth == 0 {
                            return (at + 1, State::Done);
                        }
                    }
                    b'\n' if self.lines => return (at, State::Broken(BROKEN_LINE)),
                    _ => {}
                }
            }
            self.started = true;
            at += 1;
        }
        (at, State::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str, shape: Shape, lines: bool) -> String {
        // A buffer of three bytes, so that everything is cut everywhere.
        let input = io::BufReader::with_capacity(3, text.as_bytes());
        let mut items = Items::new(input, shape, lines, 40);
        let (mut item, mut out) = (Vec::new(), Vec::new());
        loop {
            match items.next(&mut item).unwrap() {
                Step::End => return out.join(" "),
                Step::Item(key) => out.push(format!("{key}:{}", String::from_utf8_lossy(&item))),
                Step::Broken(at, why) => out.push(format!("!{at}:{}", why.split(' ').next_back().unwrap_or(""))),
            }
        }
    }

    // Scenario: lines, documents, lists, values; whole, broken, cut and too large.
    // Guarantee: every whole item once, in order; what is broken costs its line or, in a document, the rest.
    #[test]
    fn items_of_files() {
        const AB: Shape = Shape::Elements(&["a", "b"]);
        let cases = [
            ("", AB, true, ""),
            ("\n \n", AB, true, ""),
            ("{\"a\":[{\"x\":1},{\"y\":[2]}]}\n{\"b\":[{}]}\n", AB, true, "0:{\"x\":1} 0:{\"y\":[2]} 1:{}"),
            (
                "{\n \"z\" : {\"a\":[1]},\n \"a\" : [\n {\"x\" : \"]}\\\"\"} ,\n 5\n ]\n}",
                AB,
                false,
                "0:{\"x\" : \"]}\\\"\"} 0:5",
            ),
            ("\u{feff}[ {\"x\":1} , {\"y\":2} ]", AB, false, "0:{\"x\":1} 0:{\"y\":2}"),
            ("[{}]\n[{},{}]", AB, true, "0:{} 0:{} 0:{}"),
            ("{\"a\":null,\"b\":\"[\",\"c\":[1],\"a\":[]}", AB, true, ""),
            // The second line is cut, the third is noise.
            ("{\"a\":[1]}\n{\"a\":[2,{\"x\":\"y\nnoise\n{\"a\":[3]}\n", AB, true, "0:1 0:2 !18:value !26:JSON 0:3"),
            ("{\"a\":[1", AB, true, "0:1 !7:value"),
            ("{\"a\":[{\"x\":", AB, false, "!6:value"),
            ("{\"a\":[1}]", AB, true, "0:1 !7:JSON"),
            ("{\"a\":[\"0123456789012345678901234567890123456789\",2]}", AB, true, "!6:limit 0:2"),
            ("{\"x\":[1]}\n{}", Shape::Values, true, "0:{\"x\":[1]} 0:{}"),
            ("hello", AB, true, "!0:JSON"),
        ];
        for (text, shape, lines, expected) in cases {
            assert_eq!(items(text, shape, lines), expected, "{text}");
        }
    }
}
