//! Just enough of ClickHouse's lexer to tell where a statement ends and an insert's data begins.
//!
//! The engine must never see insert data inside a statement (design section 4: inline data is cut
//! at a blank line and the rest runs as SQL), so the text is split here, before the engine parses
//! it. This module knows tokens; it refuses to know what a statement means: the engine's own
//! parser judges that.

/// What the text of a request holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Statement<'a> {
    /// Only white space, comments or semicolons.
    Empty,
    /// Several statements; refused as in ClickHouse's HTTP interface.
    Several,
    /// A statement that carries no data, without its trailing semicolon.
    Plain {
        /// The statement.
        sql: &'a [u8],
        /// The format its FORMAT clause names.
        format: Option<&'a str>,
    },
    /// An insert whose rows follow.
    Insert {
        /// The statement up to, not including, FORMAT or VALUES.
        sql: &'a [u8],
        /// Input format of the rows.
        format: &'a str,
        /// Offset of the first byte of data in the text.
        data: usize,
    },
}

/// Splits `text`. The text may be only the beginning of a longer one, as long as an insert's
/// statement itself lies within it.
pub(crate) fn split(text: &[u8]) -> Statement<'_> {
    let mut lexer = Lexer::new(text, 0);
    let first = loop {
        match lexer.next() {
            None => return Statement::Empty,
            Some(token) if token.kind == Kind::Punctuation(b';') => {}
            Some(token) => break token,
        }
    };
    if first.is(text, "INSERT")
        && let Some(insert) = split_insert(text, &mut lexer)
    {
        return insert;
    }
    split_plain(text, first)
}

/// Whether the text is an insert whose rows follow (used to choose a lane, not to decide
/// anything). An `INSERT … SELECT` is not: it may run as long as any query.
pub(crate) fn looks_like_insert(text: &[u8]) -> bool {
    matches!(split(text), Statement::Insert { .. })
}

/// A name in a statement, with what stands around it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    /// As written, without quotes, with escapes.
    pub(crate) text: &'a [u8],
    /// Whether it stood in backticks or double quotes.
    pub(crate) quoted: bool,
    /// The punctuation right after it.
    pub(crate) followed_by: Option<u8>,
    /// Whether `APPLY` or `APPLY (` stands right before it, which calls it by name.
    pub(crate) applied: bool,
}

/// All names and keywords of a statement, in order; strings and comments are not among them.
/// `None` for a text that this lexer and the engine's might cut differently (here documents,
/// Unicode quotes and dashes, nested or open comments, open quotes): a gate must refuse it.
pub(crate) fn names(text: &[u8]) -> Option<Vec<Name<'_>>> {
    let mut lexer = Lexer::new(text, 0);
    let mut names: Vec<Name<'_>> = Vec::new();
    let (mut after_apply, mut after_name) = (false, false);
    while let Some(token) = lexer.next() {
        if !token.is_clear(text) {
            return None;
        }
        let first = text[token.start];
        if let Kind::Punctuation(mark) = token.kind {
            if let (true, Some(name)) = (after_name, names.last_mut()) {
                name.followed_by = Some(mark);
            }
            after_name = false;
            after_apply = after_apply && mark == b'(';
            continue;
        }
        after_name = token.kind == Kind::Word || first == b'`' || first == b'"';
        if after_name {
            let quoted = token.kind == Kind::Quoted;
            let inside = usize::from(quoted);
            let end = token.end.saturating_sub(inside).max(token.start + inside);
            let text = &text[token.start + inside..end.min(text.len())];
            names.push(Name { text, quoted, followed_by: None, applied: after_apply });
        }
        after_apply = token.is(text, "APPLY");
    }
    (!lexer.unclear).then_some(names)
}

/// The insert's parts, or `None` for one that carries no data (INSERT … SELECT).
fn split_insert<'a>(text: &'a [u8], lexer: &mut Lexer<'a>) -> Option<Statement<'a>> {
    let mut token = lexer.next()?;
    for word in ["INTO", "TABLE"] {
        if token.is(text, word) {
            token = lexer.next()?;
        }
    }
    let is_function = token.is(text, "FUNCTION");
    if is_function {
        token = lexer.next()?;
    }
    // The target's name may be a keyword: step over `name` or `database.name`.
    let mut target_end = token.end;
    while let Some(dot) = lexer.peek() {
        if dot.kind != Kind::Punctuation(b'.') {
            break;
        }
        lexer.next();
        target_end = lexer.next()?.end;
    }
    let mut depth = 0usize;
    let mut statement_end = target_end;
    while let Some(token) = lexer.next() {
        match token.kind {
            Kind::Punctuation(b'(') => depth += 1,
            Kind::Punctuation(b')') => depth = depth.saturating_sub(1),
            Kind::Punctuation(b';') if depth == 0 => {
                // `INSERT INTO t;` + body: ClickHouse expects rows as VALUES.
                let blank = text[token.end..].iter().all(u8::is_ascii_whitespace);
                return blank.then_some(Statement::Insert {
                    sql: &text[..statement_end],
                    format: "Values",
                    data: text.len(),
                });
            }
            Kind::Word if depth == 0 => {
                if token.is(text, "VALUES") {
                    let sql = &text[..statement_end];
                    return Some(Statement::Insert { sql, format: "Values", data: token.end });
                }
                if token.is(text, "FORMAT") {
                    let name = lexer.next()?;
                    if name.kind != Kind::Word {
                        return None;
                    }
                    return Some(Statement::Insert {
                        sql: &text[..statement_end],
                        format: std::str::from_utf8(&text[name.start..name.end]).ok()?,
                        data: data_start(text, name.end),
                    });
                }
                if ["SELECT", "WITH", "WATCH", "FROM"].iter().any(|word| token.is(text, word)) {
                    return None;
                }
            }
            _ => {}
        }
        if token.start > target_end && depth == 1 && token.is(text, "SELECT") && !is_function {
            return None; // INSERT INTO t (SELECT …)
        }
        statement_end = token.end;
    }
    Some(Statement::Insert { sql: &text[..statement_end], format: "Values", data: text.len() })
}

/// Data begins after the format's name, trailing blanks and one line end, as in ClickHouse.
fn data_start(text: &[u8], name_end: usize) -> usize {
    let mut at = name_end;
    while matches!(text.get(at), Some(b' ' | b'\t' | 0x0c)) {
        at += 1;
    }
    if text.get(at) == Some(&b';') && text[at + 1..].iter().all(u8::is_ascii_whitespace) {
        return text.len();
    }
    if text.get(at) == Some(&b'\r') {
        at += 1;
    }
    if text.get(at) == Some(&b'\n') {
        at += 1;
    }
    at
}

fn split_plain(text: &[u8], first: Token) -> Statement<'_> {
    let mut lexer = Lexer::new(text, first.end);
    let (mut depth, mut end, mut format, mut ended) = (0usize, first.end, None, false);
    let mut before_is_format = false;
    while let Some(token) = lexer.next() {
        if token.kind == Kind::Punctuation(b';') && depth == 0 {
            ended = true;
            continue;
        }
        if ended {
            return Statement::Several;
        }
        match token.kind {
            Kind::Punctuation(b'(') => depth += 1,
            Kind::Punctuation(b')') => depth = depth.saturating_sub(1),
            Kind::Word if depth == 0 && before_is_format => {
                format = std::str::from_utf8(&text[token.start..token.end]).ok();
            }
            _ => {}
        }
        before_is_format = depth == 0 && token.is(text, "FORMAT");
        end = token.end;
    }
    Statement::Plain { sql: &text[..end], format }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Quoted,
    Punctuation(u8),
}

#[derive(Debug, Clone, Copy)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
}

impl Token {
    /// Whether every lexer of this language would cut the token so.
    fn is_clear(&self, text: &[u8]) -> bool {
        let token = &text[self.start..self.end];
        match self.kind {
            Kind::Quoted => token.len() > 1 && token[0] != b'$' && token.last() == token.first(),
            Kind::Word => token.is_ascii() && token[0] != b'$',
            Kind::Punctuation(mark) => mark.is_ascii_graphic() && mark != b'\\' && mark != b'#',
        }
    }

    fn is(&self, text: &[u8], word: &str) -> bool {
        self.kind == Kind::Word && text[self.start..self.end].eq_ignore_ascii_case(word.as_bytes())
    }
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// A comment was met that another lexer might end elsewhere.
    unclear: bool,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a [u8], at: usize) -> Self {
        Self { text, at, unclear: false }
    }

    fn peek(&self) -> Option<Token> {
        Lexer::new(self.text, self.at).next()
    }

    fn next(&mut self) -> Option<Token> {
        self.skip_blank();
        let start = self.at;
        let byte = *self.text.get(start)?;
        let kind = match byte {
            b'\'' | b'"' | b'`' => {
                self.skip_quoted(byte);
                Kind::Quoted
            }
            b'$' if self.skip_heredoc() => Kind::Quoted,
            _ if is_word(byte) => {
                while self.text.get(self.at).is_some_and(|&byte| is_word(byte)) {
                    self.at += 1;
                }
                Kind::Word
            }
            _ => {
                self.at += 1;
                Kind::Punctuation(byte)
            }
        };
        Some(Token { kind, start, end: self.at })
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            match rest {
                [byte, ..] if byte.is_ascii_whitespace() || *byte == 0x0b => self.at += 1,
                [b'-', b'-', ..] => self.skip_past(b"\n", 0),
                [b'#', b' ' | b'!', ..] => {
                    self.unclear = true;
                    self.skip_past(b"\n", 0);
                }
                [b'/', b'*', ..] => self.skip_comment(),
                // A BOM, which ClickHouse ignores too.
                [0xef, 0xbb, 0xbf, ..] => {
                    self.unclear = true;
                    self.at += 3;
                }
                _ => return,
            }
        }
    }

    /// Block comments nest in ClickHouse.
    fn skip_comment(&mut self) {
        let mut depth = 0usize;
        while self.at < self.text.len() {
            match &self.text[self.at..] {
                [b'/', b'*', ..] => {
                    depth += 1;
                    self.unclear |= depth > 1;
                    self.at += 2;
                }
                [b'*', b'/', ..] => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
        self.unclear = true;
    }

    /// Backslash escapes and doubled quotes both count, in every kind of quote.
    fn skip_quoted(&mut self, quote: u8) {
        self.at += 1;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                _ if byte == quote => {
                    self.at += 1;
                    if self.text.get(self.at) != Some(&quote) {
                        return;
                    }
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.text.len());
    }

    /// `$tag$ … $tag$`; false when the dollar does not begin one.
    fn skip_heredoc(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let Some(length) = rest[1..].iter().position(|&byte| byte == b'$') else { return false };
        let tag = &rest[..length + 2];
        if !tag[1..tag.len() - 1].iter().all(|&byte| is_word(byte)) {
            return false;
        }
        let body = self.at + tag.len();
        let Some(end) = find(&self.text[body..], tag) else { return false };
        self.at = body + end + tag.len();
        true
    }

    fn skip_past(&mut self, needle: &[u8], from: usize) {
        let start = (self.at + from).min(self.text.len());
        self.at = find(&self.text[start..], needle).map_or(self.text.len(), |found| start + found + needle.len());
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        match split(text.as_bytes()) {
            Statement::Empty => "empty".into(),
            Statement::Several => "several".into(),
            Statement::Plain { sql, format } => {
                format!("plain[{}] {}", String::from_utf8_lossy(sql), format.unwrap_or("-"))
            }
            Statement::Insert { sql, format, data } => {
                format!("insert[{}] {format} {:?}", String::from_utf8_lossy(sql), &text[data..])
            }
        }
    }

    // Scenario: statements with comments, quotes, heredocs, keywords as names, data behind FORMAT.
    // Guarantee: insert data is separated from the statement at the same byte as in ClickHouse.
    #[test]
    fn splits() {
        for (text, expected) in [
            ("", "empty"),
            (" ; -- nothing\n;", "empty"),
            ("SELECT 1", "plain[SELECT 1] -"),
            ("SELECT 1; ", "plain[SELECT 1] -"),
            ("select 1 format JSON;", "plain[select 1 format JSON] JSON"),
            ("SELECT 1 FORMAT Native SETTINGS a=1", "plain[SELECT 1 FORMAT Native SETTINGS a=1] Native"),
            ("SELECT 'a;b', \"c;d\", `e;f` -- x; y", "plain[SELECT 'a;b', \"c;d\", `e;f`] -"),
            ("SELECT $q$; drop$q$; SELECT 2", "several"),
            ("SELECT 1; SELECT 2", "several"),
            ("SELECT '\\'; SELECT 2", "plain[SELECT '\\'; SELECT 2] -"),
            ("SELECT ''''; SELECT 2", "several"),
            ("/* a /* b */ ; */ SELECT 1", "plain[/* a /* b */ ; */ SELECT 1] -"),
            ("INSERT INTO t FORMAT TSV\n1\t2\n", "insert[INSERT INTO t] TSV \"1\\t2\\n\""),
            ("insert into t (a, b) format Native", "insert[insert into t (a, b)] Native \"\""),
            ("INSERT INTO t FORMAT TSV;\n", "insert[INSERT INTO t] TSV \"\""),
            ("INSERT INTO t FORMAT TSV\n\n\nSELECT 7", "insert[INSERT INTO t] TSV \"\\n\\nSELECT 7\""),
            ("INSERT INTO d.t VALUES (1),(2)", "insert[INSERT INTO d.t] Values \" (1),(2)\""),
            ("INSERT INTO t (a) VALUES", "insert[INSERT INTO t (a)] Values \"\""),
            ("INSERT INTO t", "insert[INSERT INTO t] Values \"\""),
            ("INSERT INTO values VALUES (1)", "insert[INSERT INTO values] Values \" (1)\""),
            ("INSERT INTO `a b`.`format` (x) FORMAT CSV\n1", "insert[INSERT INTO `a b`.`format` (x)] CSV \"1\""),
            (
                "INSERT INTO t SETTINGS a='FORMAT x' FORMAT JSONEachRow {}",
                "insert[INSERT INTO t SETTINGS a='FORMAT x'] JSONEachRow \"{}\"",
            ),
            ("INSERT INTO t SELECT 1", "plain[INSERT INTO t SELECT 1] -"),
            ("INSERT INTO t (a) SELECT 1 FORMAT Null", "plain[INSERT INTO t (a) SELECT 1 FORMAT Null] Null"),
            ("INSERT INTO t (SELECT 1)", "plain[INSERT INTO t (SELECT 1)] -"),
            ("INSERT INTO t SELECT 1; DROP TABLE t", "several"),
            ("INSERT INTO t; DROP TABLE t", "several"),
            ("INSERT INTO t FROM INFILE 'x'", "plain[INSERT INTO t FROM INFILE 'x'] -"),
            (
                "INSERT INTO FUNCTION null('x UInt8') FORMAT CSV\n1",
                "insert[INSERT INTO FUNCTION null('x UInt8')] CSV \"1\"",
            ),
            ("INSERT INTO TABLE t FORMAT CSV\r\n1", "insert[INSERT INTO TABLE t] CSV \"1\""),
            ("-- hi\nINSERT /* x */ INTO t FORMAT CSV 1", "insert[-- hi\nINSERT /* x */ INTO t] CSV \"1\""),
        ] {
            assert_eq!(check(text), expected, "{text:?}");
        }
    }

    // Scenario: calls and table names in quotes, behind comments, through APPLY.
    // Guarantee: every name is seen with what follows it; strings and comments are not names.
    #[test]
    fn finds_names() {
        let shown = |text: &str| {
            let show = |name: Name<'_>| {
                let mut shown = String::from_utf8_lossy(name.text).into_owned();
                shown.extend(name.quoted.then_some('"'));
                shown.extend(name.applied.then_some('!'));
                shown.extend(name.followed_by.map(char::from));
                shown
            };
            let names = names(text.as_bytes());
            names.map(|names| names.into_iter().map(show).collect::<Vec<_>>().join(" "))
        };
        for (text, expected) in [
            ("SELECT file ('x')", "SELECT file("),
            ("SELECT `file`/* ( */('x'), 'file('", "SELECT file\"("),
            ("SELECT * FROM \"default\" . t -- file(", "SELECT* FROM default\". t"),
            ("SELECT * APPLY file, * APPLY (url)", "SELECT* APPLY file!, APPLY( url!)"),
            ("SELECT 'é' AS \"é\"", "SELECT AS é\""),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
        for unclear in [
            "SELECT `",
            "SELECT 'a",
            "SELECT /* a",
            "SELECT /* /* */ file('x') -- */",
            "SELECT $ '$ ' $ '$ file('x') -- '",
            "SELECT $$ a $$",
            "SELECT \u{2018} ' \u{2019} file('x') \u{2018} ' \u{2019}",
            "SELECT 1 # ' \n, file('x') -- '",
            "SELECT \u{2212}\u{2212} ' \n file('x')",
            "SELECT 'a\\",
            "SELECT 1 \0 'file'",
        ] {
            assert_eq!(shown(unclear), None, "{unclear}");
        }
    }

    // Scenario: any bytes at all.
    // Guarantee: splitting ends, panics never, and every offset lies within the text.
    #[test]
    fn survives_any_bytes() {
        let alphabet = b"'\"`$;-/*#\\ \n(),.INSERTOFMVALUES\x00\xff\xef\xbb\xbf";
        let mut state = 0x9e37_79b9_u32;
        for _ in 0..20_000 {
            let text: Vec<u8> = (0..state % 40)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    alphabet[(state >> 16) as usize % alphabet.len()]
                })
                .collect();
            state = state.wrapping_mul(1_664_525).wrapping_add(1);
            if let Statement::Insert { data, .. } = split(&text) {
                assert!(data <= text.len());
            }
            looks_like_insert(&text);
            names(&text);
        }
    }
}
