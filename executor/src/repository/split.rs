//! Takes the export of a repository apart while it goes by: one job or transformation after the other, never all of
//! them at once. Pure: bytes in, objects out.
//!
//! Kettle writes `<repository><transformations><transformation>…` and `<jobs><job>…`. Only the outermost elements are
//! understood here; an object is handed on as it is written, but without its connections: nobody looks at them, and
//! they hold passwords that anybody can turn back.

use shared::etl::browse::FILE_BYTES_MAX;
use shared::etl::drawn::Form;
use shared::etl::xml::{Event, Reader};

/// Elements within one another.
const DEPTH_MAX: usize = 200;
/// Bytes of a tag with its attributes: Kettle's own have a few dozen.
const TAG_BYTES_MAX: usize = 64 * 1024;
#[expect(clippy::cast_possible_truncation, reason = "4 MiB")]
const BYTES_MAX: usize = FILE_BYTES_MAX as usize;
/// What is left out of an object, and of the head of one: a transformation has the servers there.
const LEFT_OUT: [&[u8]; 2] = [b"connection", b"slaveservers"];
/// Characters of a name that is told to people.
const SHOWN_MAX: usize = 40;

/// One job or transformation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) form: Form,
    /// An element of XML; only its beginning unless `whole`: it is too large.
    pub(super) text: Vec<u8>,
    pub(super) whole: bool,
}

impl Object {
    /// Its directory and its name, as far as they are there.
    pub(super) fn place(&self) -> (String, String) {
        let text = String::from_utf8_lossy(&self.text);
        let mut reader = Reader::new(&text);
        let (mut directory, mut name) = (String::new(), String::new());
        while let Ok(Some(event)) = reader.next() {
            let Event::Text(text) = event else { continue };
            match reader.path() {
                ["job", "name"] | ["transformation", "info", "name"] => name.push_str(&text),
                ["job", "directory"] | ["transformation", "info", "directory"] => {
                    directory.push_str(&text);
                }
                _ => {}
            }
        }
        (directory.trim().to_owned(), name.trim().to_owned())
    }
}

/// Where we are between two tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Text,
    Tag {
        quote: u8,
    },
    /// A comment, a CDATA section, an instruction: until these bytes.
    Until(&'static [u8]),
}

#[derive(Debug)]
pub(super) struct Splitter {
    at: At,
    /// Of the tag that is open, or the last bytes of what ends with `Until`.
    tag: Vec<u8>,
    path: Vec<Vec<u8>>,
    object: Option<Object>,
    /// At this depth something began that is left out.
    left_out: Option<usize>,
    begun: bool,
}

impl Default for Splitter {
    fn default() -> Splitter {
        let (at, tag, path) = (At::Text, Vec::new(), Vec::new());
        Splitter { at, tag, path, object: None, left_out: None, begun: false }
    }
}

impl Splitter {
    /// What these bytes complete goes to `out`.
    ///
    /// # Errors
    /// It is no export of a repository.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<Object>) -> Result<(), String> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            match self.at {
                At::Text if self.is_over() => return Ok(()),
                At::Text if byte == b'<' => {
                    self.tag.clear();
                    self.tag.push(byte);
                    self.at = At::Tag { quote: 0 };
                    rest = after;
                }
                At::Text => {
                    let until = rest.iter().position(|byte| *byte == b'<').unwrap_or(rest.len());
                    self.keep(&rest[..until]);
                    rest = &rest[until..];
                }
                At::Tag { quote } => {
                    self.in_tag(byte, quote, out)?;
                    rest = after;
                }
                At::Until(end) => {
                    self.until(byte, end);
                    rest = after;
                }
            }
        }
        Ok(())
    }

    /// # Errors
    /// Its end is missing.
    pub(super) fn end(&self) -> Result<(), String> {
        match self.begun {
            true if self.is_over() => Ok(()),
            true => Err("it ends in the middle: </repository> is missing".into()),
            false => Err("it is no XML at all".into()),
        }
    }

    fn is_over(&self) -> bool {
        self.begun && self.path.is_empty()
    }

    fn in_tag(&mut self, byte: u8, quote: u8, out: &mut Vec<Object>) -> Result<(), String> {
        if self.tag.len() >= TAG_BYTES_MAX {
            return Err(format!("a tag of it has more than {TAG_BYTES_MAX} bytes"));
        }
        self.tag.push(byte);
        match (quote, byte) {
            (0, b'>') => {
                self.at = At::Text;
                let tag = std::mem::take(&mut self.tag);
                let taken = self.take(&tag, out);
                // Its room is used again.
                self.tag = tag;
                return taken;
            }
            (0, b'"' | b'\'') => self.at = At::Tag { quote: byte },
            (open, _) if open == byte => self.at = At::Tag { quote: 0 },
            _ => {}
        }
        let end: &'static [u8] = match self.tag.as_slice() {
            b"<!--" => b"-->",
            b"<![CDATA[" => b"]]>",
            b"<?" => b"?>",
            _ => return Ok(()),
        };
        let begin = std::mem::take(&mut self.tag);
        self.keep(&begin);
        self.at = At::Until(end);
        Ok(())
    }

    fn until(&mut self, byte: u8, end: &'static [u8]) {
        self.keep(&[byte]);
        if self.tag.len() == end.len() {
            self.tag.remove(0);
        }
        self.tag.push(byte);
        if self.tag == end {
            self.at = At::Text;
        }
    }

    /// A whole tag.
    fn take(&mut self, tag: &[u8], out: &mut Vec<Object>) -> Result<(), String> {
        let inner = &tag[1..tag.len() - 1];
        if inner.first() == Some(&b'!') {
            return match inner.contains(&b'[') {
                true => Err("it declares entities of its own, which are not read".into()),
                false => Ok(()),
            };
        }
        if let Some(name) = inner.strip_prefix(b"/") {
            return self.close(name.trim_ascii(), tag, out);
        }
        let closes = inner.last() == Some(&b'/');
        let inner = inner.strip_suffix(b"/").unwrap_or(inner);
        let name = inner.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        self.open(name, tag)?;
        match closes {
            true => self.close(name, b"", out),
            false => Ok(()),
        }
    }

    fn open(&mut self, name: &[u8], tag: &[u8]) -> Result<(), String> {
        match (name, self.path.is_empty()) {
            (b"", _) => return Err("an element of it has no name".into()),
            (name, true) if name != b"repository" => {
                return Err(format!("it begins with <{}>, not with <repository>", shown(name)));
            }
            _ => self.begun = true,
        }
        self.path.push(name.to_owned());
        let depth = self.path.len();
        if depth > DEPTH_MAX {
            return Err(format!("it has more than {DEPTH_MAX} elements within one another"));
        }
        if let [_, outer, own] = self.path.as_slice() {
            let form = match (outer.as_slice(), own.as_slice()) {
                (b"transformations", b"transformation") => Some(Form::Transformation),
                (b"jobs", b"job") => Some(Form::Job),
                _ => None,
            };
            self.object = form.map(|form| Object { form, text: Vec::new(), whole: true });
        }
        if self.object.is_some() && self.left_out.is_none() && self.is_secret() {
            self.left_out = Some(depth);
        }
        self.keep(tag);
        Ok(())
    }

    /// What is open is left out.
    fn is_secret(&self) -> bool {
        match self.path.get(3..) {
            Some([own]) => LEFT_OUT.contains(&own.as_slice()),
            Some([info, own]) => info == b"info" && LEFT_OUT.contains(&own.as_slice()),
            _ => false,
        }
    }

    /// `tag` is empty where the tag that opened it has closed it.
    fn close(&mut self, name: &[u8], tag: &[u8], out: &mut Vec<Object>) -> Result<(), String> {
        if self.path.last().is_none_or(|open| open != name) {
            return Err(format!("</{}> closes nothing in it", shown(name)));
        }
        self.keep(tag);
        let depth = self.path.len();
        self.path.pop();
        if self.left_out == Some(depth) {
            self.left_out = None;
        }
        if depth == 3 {
            out.extend(self.object.take());
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Some(object) = self.object.as_mut().filter(|_| self.left_out.is_none()) else { return };
        object.whole &= object.text.len() + bytes.len() <= BYTES_MAX;
        if object.whole {
            object.text.extend_from_slice(bytes);
        }
    }
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ktr(inner: &str) -> String {
        format!("<transformation><info>{inner}</info></transformation>")
    }

    fn all(ktrs: &str, kjbs: &str) -> String {
        format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- <a> -->\n<repository>\n\n<transformations>\n{ktrs}\n\
             </transformations>\n<jobs>\n{kjbs}\n</jobs>\n</repository>\n\n<tail"
        )
    }

    fn split_in(text: &[u8], size: usize) -> Result<Vec<Object>, String> {
        let mut splitter = Splitter::default();
        let mut out = Vec::new();
        for part in text.chunks(size) {
            splitter.push(part, &mut out)?;
        }
        splitter.end()?;
        Ok(out)
    }

    /// However it comes in.
    #[track_caller]
    fn split(text: &str) -> Result<Vec<Object>, String> {
        let once = split_in(text.as_bytes(), text.len().max(1));
        for size in [1, 3, 7, 64] {
            assert_eq!(split_in(text.as_bytes(), size), once, "in parts of {size}");
        }
        once
    }

    fn told(objects: &[Object]) -> Vec<String> {
        let one = |object: &Object| {
            let (directory, name) = object.place();
            format!("{} {directory} {name}", object.form.word())
        };
        objects.iter().map(one).collect()
    }

    #[test]
    fn each_object_is_handed_on_as_it_is_written() {
        let a = ktr("<name>a &amp; b</name><directory>&#x2f;x</directory>");
        let b = "<transformation k=\"1>2\" l='\"'><info><name><![CDATA[<b>]]></name><directory/></info><!-- </transformation> -->\
                 <step><name>s</name><transformation/></step></transformation>";
        let c = "<job><name>日志</name><directory>/</directory><entries/></job>";
        let objects = split(&all(&format!("{a}{b}"), &format!("<other/>{c}<job/>"))).unwrap();
        assert_eq!(
            told(&objects),
            ["transformation /x a & b", "transformation  <b>", "job / 日志", "job  "]
        );
        assert_eq!(objects[1].text, b.as_bytes());
        assert_eq!(objects[2].text, c.as_bytes());
        assert_eq!(split("<repository/>").unwrap(), []);
        assert_eq!(split("<repository><jobs/></repository>").unwrap(), []);
    }

    #[test]
    fn connections_are_left_out() {
        let connection = "<connection><name>c</name><password>Encrypted 2be98afc</password><a><connection/></a></connection>";
        let text = format!(
            "<transformation><info><name>a</name><slaveservers><slaveserver><password>Encrypted 2be</password></slaveserver>\
             </slaveservers></info>{connection}<connection/><step><connection>c\
             </connection></step><slaveservers><slaveserver/></slaveservers></transformation>"
        );
        let objects = split(&all(&text, "")).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&objects[0].text),
            "<transformation><info><name>a</name></info><step><connection>c\
             </connection></step></transformation>"
        );
    }

    #[test]
    fn what_is_too_large_is_told_by_its_beginning_and_the_rest_goes_on() {
        let long = |bytes: usize| format!("<x>{}</x>", "y".repeat(bytes));
        let around = ktr("<name>large</name>").len() + "<x></x>".len();
        let large = |bytes: usize| {
            ktr("<name>large</name>").replace("</transformation>", &long(bytes))
                + "</transformation>"
        };
        for (bytes, whole) in [(BYTES_MAX - around, true), (BYTES_MAX - around + 1, false)] {
            let small = ktr("<name>small</name>");
            let text = all(&format!("{}{small}", large(bytes)), "");
            let objects = split_in(text.as_bytes(), 64 * 1024).unwrap();
            assert_eq!(told(&objects), ["transformation  large", "transformation  small"]);
            assert_eq!((objects[0].whole, objects[1].whole), (whole, true));
            assert!(objects[0].text.len() <= BYTES_MAX);
        }
    }

    #[test]
    fn what_is_no_export_is_said() {
        let whole = all(&ktr("<name>a</name>"), "");
        for end in ["</repository>", "</jobs>", "</transformations>", "</name>", "<name>"] {
            let cut = &whole[..whole.find(end).unwrap() + 2];
            let why = split(cut).unwrap_err();
            assert!(why.contains("</repository> is missing"), "{end}: {why}");
        }
        for (text, why) in [
            ("", "no XML"),
            ("garbage", "no XML"),
            ("<a", "no XML"),
            ("<html><body/></html>", "begins with <html>"),
            ("<repository><jobs></repository>", "closes nothing"),
            ("</repository>", "closes nothing"),
            ("<repository><></repository>", "no name"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><repository/>", "entities"),
            (&format!("<repository {}", "x".repeat(TAG_BYTES_MAX + 1)), "a tag of it"),
            (&format!("<repository>{}", "<a>".repeat(DEPTH_MAX)), "within one another"),
        ] {
            let told = split(text).unwrap_err();
            assert!(told.contains(why), "{text:.100}: {told}");
        }
        // Two bytes for each sign: none of Kettle's.
        let wide: Vec<u8> = "<repository/>".bytes().flat_map(|byte| [byte, 0]).collect();
        assert!(split_in(&wide, 7).is_err());
    }
}
