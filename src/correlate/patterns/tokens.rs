//! Cuts a masked body into tokens: holes, words, signs. Values that masking left because it looks at
//! one run of letters at a time (paths, host names, dates, units) become holes here.

use super::words::{HOLE_CHAR, has_place, is_address, is_date_word, is_unit, is_value, is_zone};

/// Tokens that make a template; what follows is dropped.
pub(super) const TOKENS_MAX: usize = 128;

// Dots that lead to a value, or on: one sign however many they are.
const LEADER: &str = "...";

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Stands for a value.
    Hole,
    /// A word of the message.
    Word,
    /// Brackets, commas and the like.
    Sign,
}

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    /// Whether white space stands before it.
    pub(super) spaced: bool,
}

/// The tokens of a masked body. A body without any word keeps what has letters around its holes:
/// nothing else names it.
pub(super) fn tokens(masked: &str) -> Vec<Token<'_>> {
    let tokens = melt(cut(masked, true));
    if tokens.iter().any(|token| token.kind == Kind::Word) { tokens } else { melt(cut(masked, false)) }
}

fn is_sign(char: char) -> bool {
    matches!(char, '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';' | '=' | '"' | '\'' | '|' | '<' | '>' | '!' | '?' | '`')
}

fn ends_word(next: Option<char>) -> bool {
    next.is_none_or(|next| next.is_whitespace() || is_sign(next))
}

// With `mixed`, words that have a hole in them are values.
fn cut(text: &str, mixed: bool) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut spaced = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        // A bound on work for hostile bodies; melting only makes them fewer.
        if tokens.len() >= 4 * TOKENS_MAX {
            break;
        }
        if first.is_whitespace() {
            spaced = true;
            rest = rest.trim_start();
            continue;
        }
        let length = match word_length(rest) {
            0 => {
                let length = sign_length(rest, first);
                let text = if first == '.' && length > 1 { LEADER } else { &rest[..length] };
                tokens.push(Token { kind: Kind::Sign, text, spaced });
                length
            }
            length => {
                let is_label = rest[length..].starts_with('=');
                push_word(&mut tokens, &rest[..length], spaced, mixed && !is_label);
                length
            }
        };
        spaced = false;
        rest = &rest[length..];
    }
    tokens
}

fn sign_length(rest: &str, first: char) -> usize {
    if first == '.' {
        return rest.bytes().take_while(|byte| *byte == b'.').count();
    }
    first.len_utf8()
}

// Bytes of the word that `rest` begins with; 0 for a sign.
fn word_length(rest: &str) -> usize {
    let mut chars = rest.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let ends = match char {
            ':' => ends_word(next),
            '.' => {
                let dots = rest[at..].bytes().take_while(|byte| *byte == b'.').count();
                let behind = rest[at + dots..].chars().next();
                let is_path = behind == Some('/') && dots <= 2;
                !is_path && (dots > 1 || ends_word(behind))
            }
            // "can't"
            '\'' => at == 0 || ends_word(next),
            // The question of a path or URL.
            '?' | '=' | ',' if at > 0 && (rest.starts_with('/') || rest[..at].contains("://")) => ends_word(next),
            char => char.is_whitespace() || is_sign(char),
        };
        if ends {
            return at;
        }
    }
    rest.len()
}

// A word with colons within is an address, or labels and values.
fn push_word<'t>(tokens: &mut Vec<Token<'t>>, word: &'t str, spaced: bool, mixed: bool) {
    let kind = |part: &str| {
        let hole = part.chars().eq([HOLE_CHAR]) || (mixed && part.contains(HOLE_CHAR) && !has_place(part));
        if hole || is_value(part) { Kind::Hole } else { Kind::Word }
    };
    let whole = !word.contains(':') || word.contains("://") || word.contains(":\\") || word.starts_with('/');
    if whole || is_address(word) {
        let kind = if whole { kind(word) } else { Kind::Hole };
        return tokens.push(Token { kind, text: word, spaced });
    }
    let mut spaced = spaced;
    for part in word.split_inclusive(':') {
        let label = part.strip_suffix(':').unwrap_or(part);
        if !label.is_empty() {
            tokens.push(Token { kind: kind(label), text: label, spaced });
            spaced = false;
        }
        if part.len() > label.len() {
            tokens.push(Token { kind: Kind::Sign, text: ":", spaced });
            spaced = false;
        }
    }
}

// What belongs to a hole melts into it: dates, units, zones, lists, repetitions.
fn melt(mut tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    for at in (0..tokens.len().saturating_sub(1)).rev() {
        let next = &tokens[at + 1];
        if next.kind == Kind::Hole && next.spaced && tokens[at].kind == Kind::Word && is_date_word(tokens[at].text) {
            tokens[at].kind = Kind::Hole;
        }
    }
    let mut out: Vec<Token<'_>> = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        let behind_hole = out.last().is_some_and(|last| last.kind == Kind::Hole);
        match token.kind {
            Kind::Word if behind_hole && (is_unit(token.text) || is_zone(token.text) || is_date_word(token.text)) => {
                continue;
            }
            Kind::Sign if token.text == ")" && !token.spaced && opens_alone(&out) => {
                out.push(Token { kind: Kind::Hole, text: "", spaced: false });
            }
            _ => {}
        }
        if token.kind != Kind::Hole {
            out.push(*token);
            continue;
        }
        let mut spaced = token.spaced;
        match &out[..] {
            [.., hole] if hole.kind == Kind::Hole => continue,
            [.., hole, comma] if hole.kind == Kind::Hole && comma.text == "," => {
                out.pop();
                continue;
            }
            // "<1 sec"
            [.., than]
                if than.spaced
                    && !spaced
                    && matches!(than.text, "<" | ">")
                    && tokens.get(at + 1).is_none_or(|next| next.text != ">") =>
            {
                out.pop();
                spaced = true;
            }
            _ => {}
        }
        out.push(Token { kind: Kind::Hole, text: "", spaced });
    }
    let mut out = join_repeated(join_lists(out));
    out.truncate(TOKENS_MAX);
    out
}

// "connection from 1.2.3.4 () at": the value was empty. Brackets of a call stand at its name.
fn opens_alone(out: &[Token<'_>]) -> bool {
    out.last().is_some_and(|last| last.text == "(" && last.spaced)
}

// "[a, b]" is a collection of values; so is "=[a]", whatever it holds.
fn join_lists(tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    let mut out: Vec<Token<'_>> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        out.push(tokens[at]);
        at += 1;
        if tokens[at - 1].text == "["
            && let Some(length) = list_length(&tokens[at..])
            && (length > 1 || (at > 1 && tokens[at - 2].text == "="))
        {
            out.push(Token { kind: Kind::Hole, text: "", spaced: false });
            at += length;
        }
    }
    out
}

// Tokens up to the closing bracket, if there are only values and commas.
fn list_length(tokens: &[Token<'_>]) -> Option<usize> {
    let length = tokens.iter().position(|token| token.text == "]")?;
    let is_list = tokens[..length].iter().enumerate().all(|(at, token)| (token.text == ",") == (at % 2 == 1));
    (is_list && tokens[..length].iter().all(|token| token.kind != Kind::Sign || token.text == ",")).then_some(length)
}

// The longest item, in tokens, whose repetition is seen.
const ITEM_TOKENS_MAX: usize = 32;

// "Ticket(id=1), Ticket(id=2)" and "(1) at 2 (3) at 4" are one item each, however often it is repeated.
fn join_repeated(tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    let mut out: Vec<Token<'_>> = Vec::with_capacity(tokens.len());
    for token in tokens {
        out.push(token);
        while let Some(length) = repeated(&out) {
            out.truncate(out.len() - length);
        }
    }
    out
}

// How many of the last tokens say again what stands before them.
fn repeated(out: &[Token<'_>]) -> Option<usize> {
    let same = |a: &[Token<'_>], b: &[Token<'_>]| {
        a.iter()
            .zip(b)
            .enumerate()
            .all(|(at, (a, b))| (a.kind, a.text) == (b.kind, b.text) && (a.spaced == b.spaced || at == 0))
            && b.iter().any(|token| token.kind == Kind::Hole)
    };
    (1..=ITEM_TOKENS_MAX.min(out.len() / 2)).find_map(|length| {
        let (before, item) = out.split_at(out.len() - length);
        let listed = before.last().is_some_and(|last| last.text == ",");
        let before = if listed { &before[..before.len() - 1] } else { before };
        let start = before.len().checked_sub(length)?;
        let named = listed || item.iter().any(|token| token.kind == Kind::Word);
        (named && same(&before[start..], item)).then_some(length + usize::from(listed))
    })
}
