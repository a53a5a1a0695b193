//! Texts by number, so that spans are narrow and services are compared as integers.

use std::collections::HashMap;

/// Number of a text in its [`Names`]; the default is the empty text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Name(u32);

/// An interner. Number 0 is the empty text.
#[derive(Clone, Debug)]
pub struct Names {
    texts: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32, foldhash::fast::RandomState>,
}

impl Name {
    /// The empty text.
    pub const EMPTY: Name = Name(0);

    /// Whether it is the empty text.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn number(self) -> usize {
        self.0 as usize
    }

    pub(crate) const fn of_number(number: u32) -> Name {
        Name(number)
    }
}

impl Default for Names {
    fn default() -> Names {
        Names { texts: vec!["".into()], numbers: HashMap::from_iter([("".into(), 0)]) }
    }
}

impl Names {
    /// The number of `text`.
    pub fn intern(&mut self, text: &str) -> Name {
        if let Some(number) = self.numbers.get(text) {
            return Name(*number);
        }
        let number = self.texts.len() as u32;
        self.texts.push(text.into());
        self.numbers.insert(text.into(), number);
        Name(number)
    }

    /// The text of `name`; empty for one of another interner that is out of range here.
    pub fn text(&self, name: Name) -> &str {
        self.texts.get(name.number()).map_or("", |text| text)
    }

    /// How many texts there are, the empty one included.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Never: the empty text is always there.
    pub fn is_empty(&self) -> bool {
        false
    }
}
