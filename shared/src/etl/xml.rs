//! A small reader of XML, for what Kettle and Hop write: elements and their texts.
//!
//! Attributes are passed over, and nothing is resolved that is not in the text: no entity but the five
//! of XML and characters by number, no other file, no address. Work and memory are bounded by the
//! text's length, depth by [`DEPTH_MAX`].

use std::borrow::Cow;

/// Elements within one another; a file of theirs needs a tenth of it.
const DEPTH_MAX: usize = 100;
/// The longest entity: `&#x10FFFF;`.
const ENTITY_BYTES_MAX: usize = 10;
/// Of a name that is told to people.
const SHOWN_CHARS: usize = 40;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    Open(&'a str),
    /// Between two tags, and never blank alone.
    Text(Cow<'a, str>),
    Close,
}

/// Goes through a text once.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a str,
    path: Vec<&'a str>,
    /// `<a/>` is opened, and not yet closed.
    closes: bool,
    begun: bool,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Reader<'a> {
        Reader { rest: text, path: Vec::new(), closes: false, begun: false }
    }

    /// Elements that are open, the outermost first.
    pub fn path(&self) -> &[&'a str] {
        &self.path
    }

    /// The next thing; none when the first element is closed: what follows it is not looked at.
    ///
    /// # Errors
    /// It is no XML, or ends too early.
    #[expect(clippy::should_implement_trait, reason = "an iterator has no errors to give up at")]
    pub fn next(&mut self) -> Result<Option<Event<'a>>, String> {
        if self.closes {
            self.closes = false;
            self.path.pop();
            return Ok(Some(Event::Close));
        }
        if self.begun && self.path.is_empty() {
            return Ok(None);
        }
        while let Some(at) = self.rest.find('<') {
            let (before, tag) = self.rest.split_at(at);
            if !self.path.is_empty() && !before.trim().is_empty() {
                self.rest = tag;
                return Ok(Some(Event::Text(unescaped(before))));
            }
            if let Some(inner) = tag.strip_prefix("<![CDATA[") {
                let (inner, rest) = split(inner, "]]>")?;
                self.rest = rest;
                if !self.path.is_empty() && !inner.trim().is_empty() {
                    return Ok(Some(Event::Text(Cow::Borrowed(inner))));
                }
            } else if let Some(inner) = tag.strip_prefix("<!--") {
                self.rest = split(inner, "-->")?.1;
            } else if let Some(inner) = tag.strip_prefix("<?") {
                self.rest = split(inner, "?>")?.1;
            } else if let Some(inner) = tag.strip_prefix("<!") {
                let (inner, rest) = split(inner, ">")?;
                if inner.contains('[') {
                    return Err("it declares entities of its own, which are not read".into());
                }
                self.rest = rest;
            } else {
                let (inner, rest) = tag_of(&tag[1..])?;
                self.rest = rest;
                return self.step(inner).map(Some);
            }
        }
        Err("it ends in the middle of an element, or is no XML at all".into())
    }

    /// Into an element, or out of it.
    fn step(&mut self, inner: &'a str) -> Result<Event<'a>, String> {
        if let Some(name) = inner.strip_prefix('/') {
            return match self.path.pop() == Some(name.trim()) {
                true => Ok(Event::Close),
                false => Err(format!("</{}> closes nothing", shown(name))),
            };
        }
        self.closes = inner.ends_with('/');
        let name = inner.trim_end_matches('/').split_whitespace().next();
        let name = name.ok_or("an element has no name")?;
        self.path.push(name);
        self.begun = true;
        match self.path.len() > DEPTH_MAX {
            true => Err(format!("more than {DEPTH_MAX} elements within one another")),
            false => Ok(Event::Open(name)),
        }
    }
}

/// An element with all that is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element<'a> {
    pub name: &'a str,
    text: String,
    pub children: Vec<Element<'a>>,
}

impl<'a> Element<'a> {
    /// The first element of the text, whole.
    ///
    /// # Errors
    /// It is no XML, or has more than so many elements.
    pub fn read(text: &'a str, elements_max: usize) -> Result<Element<'a>, String> {
        let mut reader = Reader::new(text);
        let mut open: Vec<Element> = Vec::new();
        let mut count = 0;
        while let Some(event) = reader.next()? {
            match event {
                Event::Open(name) => {
                    count += 1;
                    if count > elements_max {
                        return Err(format!("it has more than {elements_max} elements"));
                    }
                    open.push(Element { name, ..Element::default() });
                }
                Event::Text(text) => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text);
                    }
                }
                Event::Close => match (open.pop(), open.last_mut()) {
                    (Some(done), Some(parent)) => parent.children.push(done),
                    (Some(done), None) => return Ok(done),
                    (None, _) => break,
                },
            }
        }
        Err("it holds no element".into())
    }

    pub fn child(&self, name: &str) -> Option<&Element<'a>> {
        self.children.iter().find(|child| child.name == name)
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &Element<'a>> {
        self.children.iter().filter(move |child| child.name == name)
    }

    pub fn text(&self) -> &str {
        self.text.trim()
    }

    /// The text of a child; empty when there is none.
    pub fn of(&self, name: &str) -> &str {
        self.child(name).map_or("", Element::text)
    }
}

/// What `&lt;` and the like stand for; what is no entity stays as it is.
pub fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let near = rest.bytes().take(ENTITY_BYTES_MAX).position(|byte| byte == b';');
        match near.and_then(|end| Some((character(&rest[..end])?, end))) {
            Some((found, end)) => {
                out.push(found);
                rest = &rest[end + 1..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn character(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

fn split<'a>(text: &'a str, end: &str) -> Result<(&'a str, &'a str), String> {
    text.split_once(end).ok_or_else(|| format!("{end:?} is missing at its end"))
}

/// What a tag holds, and what follows it: a value of an attribute may hold a `>`.
fn tag_of(text: &str) -> Result<(&str, &str), String> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Ok((&text[..at], &text[at + 1..])),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    Err("\">\" is missing at its end".into())
}

pub(super) fn shown(name: &str) -> String {
    name.chars().take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_and_their_texts_are_read() {
        let text = "\u{feff}<?xml version=\"1.0\"?>\n<!-- <x> --><!DOCTYPE job>\n\
                    <a k=\"1>2\" l='\"'><b>1 &lt; 2<!-- and --> &#38; <![CDATA[<3>]]></b><b/><c d='e'/>\n</a><tail";
        let root = Element::read(text, 10).unwrap();
        assert_eq!(root.name, "a");
        assert_eq!(root.of("b"), "1 < 2 & <3>");
        assert_eq!(root.all("b").count(), 2);
        assert_eq!((root.of("c"), root.of("none")), ("", ""));
        assert_eq!(root.children.len(), 3);
    }

    #[test]
    fn what_is_no_xml_is_an_error_and_never_more() {
        for (text, why) in [
            ("", "no XML"),
            ("garbage & <", "is missing"),
            ("<a", "is missing"),
            ("<a b='>", "is missing"),
            ("<a><![CDATA[</a>", "is missing"),
            ("<a><b></a></b>", "closes nothing"),
            ("</a>", "closes nothing"),
            ("<>", "no name"),
            ("<a></a", "is missing"),
            ("<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>", "entities"),
            (&"<a>".repeat(DEPTH_MAX + 1), "within one another"),
            (&format!("<a>{}</a>", "<b/>".repeat(1_000)), "more than 1000 elements"),
        ] {
            let told = Element::read(text, 1_000).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn entities_are_the_five_and_numbers() {
        for (text, expect) in [
            ("a&lt;b&gt;&amp;&quot;&apos;", "a<b>&\"'"),
            ("&#x4e2d;&#65;&#10;", "中A\n"),
            ("&nbsp; & ; &#xD800; &#x110000; &", "&nbsp; & ; &#xD800; &#x110000; &"),
            ("&amp;lt;", "&lt;"),
            ("&中文;x", "&中文;x"),
        ] {
            assert_eq!(unescaped(text), expect);
        }
        // Not quadratic.
        assert_eq!(unescaped(&"&".repeat(100_000)).len(), 100_000);
    }
}
