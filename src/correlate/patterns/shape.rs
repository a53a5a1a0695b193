//! Templates by number: the words of all templates are interned, so that thousands of them are
//! small and are compared as integers.

use std::collections::HashMap;

use twox_hash::XxHash3_64;

use super::tokens::{Kind, tokens};
use super::words::{Role, role};

/// A token by number: the word's, and whether white space stands before it. Number 0 is a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Symbol(u32);

impl Symbol {
    fn new(word: u32, spaced: bool) -> Symbol {
        Symbol(word * 2 + u32::from(spaced))
    }

    pub(super) fn is_hole(self) -> bool {
        self.word() == 0
    }

    pub(super) fn word(self) -> usize {
        (self.0 / 2) as usize
    }

    pub(super) fn is_spaced(self) -> bool {
        self.0 % 2 == 1
    }

    /// The hole in its place.
    pub(super) fn hole(self) -> Symbol {
        Symbol(self.0 % 2)
    }
}

/// A template as first read from a body, before it is compared with others.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Hash of what never merges: severity, event name, place.
    pub(super) kin: u64,
    /// Whether its log's attributes name a place in the source.
    pub(super) located: bool,
    pub(super) symbols: Box<[Symbol]>,
}

impl Shape {
    /// The hash of a template with these symbols, the same in every process; never 0.
    pub(super) fn id(kin: u64, symbols: &[Symbol], words: &Words) -> u64 {
        let mut bytes = Vec::with_capacity(8 * symbols.len());
        for symbol in symbols {
            bytes.push(u8::from(symbol.is_spaced()));
            // Not as it is shown: a body may have the text of a hole in it.
            let word = if symbol.is_hole() { "" } else { words.word(*symbol) };
            bytes.extend_from_slice(word.as_bytes());
            bytes.push(0);
        }
        XxHash3_64::oneshot_with_seed(kin, &bytes).max(1)
    }
}

/// The words of all templates.
#[derive(Debug)]
pub(super) struct Words {
    texts: Vec<Box<str>>,
    roles: Vec<Role>,
    numbers: HashMap<Box<str>, u32, foldhash::fast::RandomState>,
}

impl Default for Words {
    fn default() -> Words {
        // The hole; its role is never asked for.
        Words { texts: vec!["<*>".into()], roles: vec![Role::Sign], numbers: HashMap::default() }
    }
}

impl Words {
    /// The symbols of a masked body.
    pub(super) fn read(&mut self, masked: &str) -> Box<[Symbol]> {
        let read = tokens(masked);
        read.iter()
            .enumerate()
            .map(|(at, token)| {
                // White space before everything says nothing.
                let spaced = token.spaced && at > 0;
                match token.kind {
                    Kind::Hole => Symbol::new(0, spaced),
                    Kind::Word | Kind::Sign => Symbol::new(self.intern(token.text), spaced),
                }
            })
            .collect()
    }

    fn intern(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as u32;
        self.texts.push(text.into());
        self.roles.push(role(text));
        self.numbers.insert(text.into(), number);
        number
    }

    /// The role of a word.
    pub(super) fn role(&self, symbol: Symbol) -> Role {
        self.roles[symbol.word()]
    }

    /// The text of a word.
    pub(super) fn word(&self, symbol: Symbol) -> &str {
        &self.texts[symbol.word()]
    }

    /// The text of a template.
    pub(super) fn text(&self, symbols: &[Symbol]) -> String {
        let mut text = String::new();
        for symbol in symbols {
            if symbol.is_spaced() {
                text.push(' ');
            }
            for (part, piece) in self.word(*symbol).split(super::words::HOLE_CHAR).enumerate() {
                if part > 0 {
                    text.push_str("<*>");
                }
                text.push_str(piece);
            }
        }
        text
    }
}
