//! Python's pickles, as far as they are data: numbers, texts, lists, dictionaries, and calls, which are recorded and not made.

use std::collections::HashMap;

/// An object's number in its [`Pickle`].
pub type Id = usize;

/// One object. Containers hold the numbers of others, as objects can be shared and contain themselves.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// A whole number of at most 64 bits.
    Int(i64),
    /// A float.
    Float(f64),
    /// A `str`.
    Text(String),
    /// A `bytes`.
    Bytes(Vec<u8>),
    /// A `list`, `set` or `frozenset`.
    List(Vec<Id>),
    /// A `tuple`.
    Tuple(Vec<Id>),
    /// A `dict` or `OrderedDict`, in the order of insertion.
    Dict(Vec<(Id, Id)>),
    /// A function or class by its module and name.
    Global(String, String),
    /// A reference to what lies outside the pickle: of a tensor, its storage.
    Persistent(Id),
    /// The result of a call, which is not made: the function and its arguments.
    Call(Id, Id),
}

/// The objects of one pickle.
#[derive(Clone, Debug, PartialEq)]
pub struct Pickle {
    objects: Vec<Object>,
    root: Id,
}

impl Pickle {
    /// Interprets a pickle of any protocol.
    ///
    /// # Errors
    /// In words, what is wrong with the bytes, or which instruction is not supported.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut machine = Machine { rest: bytes, ..Machine::default() };
        let root = machine.run()?;
        Ok(Self { objects: machine.objects, root })
    }

    /// The object that was pickled.
    pub fn root(&self) -> &Object {
        self.get(self.root)
    }

    /// An object by its number.
    pub fn get(&self, id: Id) -> &Object {
        // Numbers are given out by the interpreter alone.
        &self.objects[id]
    }

    /// The value of a text key of a dictionary.
    pub fn item(&self, dictionary: &Object, key: &str) -> Option<&Object> {
        let Object::Dict(items) = dictionary else { return None };
        let is_key = |(name, _): &&(Id, Id)| matches!(self.get(*name), Object::Text(text) if text == key);
        items.iter().rev().find(is_key).map(|(_, value)| self.get(*value))
    }

    /// The elements of a list or tuple.
    pub fn elements<'pickle>(&'pickle self, object: &'pickle Object) -> Option<impl Iterator<Item = &'pickle Object>> {
        match object {
            Object::List(ids) | Object::Tuple(ids) => Some(ids.iter().map(move |id| self.get(*id))),
            _ => None,
        }
    }
}

impl Object {
    /// The value of a whole number.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The value of a number.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The value of a text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

const CUT: &str = "ends in the middle of its pickle";
const UNBALANCED: &str = "has a pickle that does not fit together";

#[derive(Default)]
struct Machine<'bytes> {
    rest: &'bytes [u8],
    objects: Vec<Object>,
    stack: Vec<Id>,
    /// The stack's heights at the marks.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<'bytes> Machine<'bytes> {
    fn run(&mut self) -> Result<Id, String> {
        loop {
            let instruction = self.array::<1>()?[0];
            match instruction {
                b'.' => return self.pop(),
                // PROTO and FRAME tell what need not be known.
                0x80 => drop(self.array::<1>()?),
                0x95 => drop(self.array::<8>()?),
                b'(' => self.marks.push(self.stack.len()),
                b'0' => drop(self.pop()?),
                b'1' => drop(self.marked()?),
                b'N' => self.push(Object::None),
                0x88 => self.push(Object::Bool(true)),
                0x89 => self.push(Object::Bool(false)),
                b'J' => self.push_from::<4>(|bytes| Object::Int(i32::from_le_bytes(bytes).into()))?,
                b'K' => self.push_from::<1>(|[byte]| Object::Int(byte.into()))?,
                b'M' => self.push_from::<2>(|bytes| Object::Int(u16::from_le_bytes(bytes).into()))?,
                b'G' => self.push_from::<8>(|bytes| Object::Float(f64::from_be_bytes(bytes)))?,
                0x8a => self.long()?,
                b'I' | b'L' => self.decimal()?,
                b'F' => {
                    let number = self.line()?.parse().map_err(|_| UNBALANCED)?;
                    self.push(Object::Float(number));
                }
                b'V' => {
                    let text = unescaped(self.bytes_of_line()?)?;
                    self.push(Object::Text(text));
                }
                b'X' | b'T' => self.sized::<4>(text)?,
                0x8c | b'U' => self.sized::<1>(text)?,
                0x8d => self.sized::<8>(text)?,
                b'B' => self.sized::<4>(bytes)?,
                b'C' => self.sized::<1>(bytes)?,
                0x8e => self.sized::<8>(bytes)?,
                b']' | 0x8f => self.push(Object::List(Vec::new())),
                b')' => self.push(Object::Tuple(Vec::new())),
                b'}' => self.push(Object::Dict(Vec::new())),
                b'l' | 0x91 => {
                    let ids = self.marked()?;
                    self.push(Object::List(ids));
                }
                b't' => {
                    let ids = self.marked()?;
                    self.push(Object::Tuple(ids));
                }
                0x85..=0x87 => {
                    let ids = self.take(usize::from(instruction - 0x84))?;
                    self.push(Object::Tuple(ids));
                }
                b'd' => {
                    let ids = self.marked()?;
                    self.push(Object::Dict(pairs(&ids)?));
                }
                b'a' => {
                    let ids = self.take(1)?;
                    self.append(ids)?;
                }
                b'e' | 0x90 => {
                    let ids = self.marked()?;
                    self.append(ids)?;
                }
                b's' => {
                    let ids = self.take(2)?;
                    self.insert(&ids)?;
                }
                b'u' => {
                    let ids = self.marked()?;
                    self.insert(&ids)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?.to_owned(), self.line()?.to_owned());
                    self.push(Object::Global(module, name));
                }
                0x93 => {
                    let name = self.take(2)?;
                    let name: Vec<String> =
                        name.iter().filter_map(|id| self.objects[*id].text()).map(str::to_owned).collect();
                    let [module, name] = <[String; 2]>::try_from(name).map_err(|_| UNBALANCED)?;
                    self.push(Object::Global(module, name));
                }
                b'R' | 0x81 => {
                    let call = self.take(2)?;
                    self.call(call[0], call[1]);
                }
                0x92 => {
                    let call = self.take(3)?;
                    self.call(call[0], call[1]);
                }
                // The state of an object that was called for: of dictionaries an attribute.
                b'b' => drop(self.pop()?),
                b'Q' => {
                    let id = self.pop()?;
                    self.push(Object::Persistent(id));
                }
                b'h' => {
                    let [key] = self.array()?;
                    self.recall(key.into())?;
                }
                b'j' => {
                    let key = u32::from_le_bytes(self.array()?);
                    self.recall(key.into())?;
                }
                b'g' => {
                    let key = self.line()?.parse().map_err(|_| UNBALANCED)?;
                    self.recall(key)?;
                }
                b'q' => {
                    let [key] = self.array()?;
                    self.remember(key.into())?;
                }
                b'r' => {
                    let key = u32::from_le_bytes(self.array()?);
                    self.remember(key.into())?;
                }
                b'p' => {
                    let key = self.line()?.parse().map_err(|_| UNBALANCED)?;
                    self.remember(key)?;
                }
                0x94 => self.remember(self.memo.len() as u64)?,
                other => return Err(format!("has a pickle with the instruction {other:#04x}, which is not supported")),
            }
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(CUT)?;
        self.rest = rest;
        Ok(*array)
    }

    /// So many bytes, whose number comes in `N` bytes before them.
    fn sized<const N: usize>(&mut self, object: fn(&[u8]) -> Result<Object, String>) -> Result<(), String> {
        let mut length = [0; 8];
        length[..N].copy_from_slice(&self.array::<N>()?);
        let length = usize::try_from(u64::from_le_bytes(length)).map_err(|_| CUT)?;
        let (content, rest) = self.rest.split_at_checked(length).ok_or(CUT)?;
        self.rest = rest;
        self.push(object(content)?);
        Ok(())
    }

    fn bytes_of_line(&mut self) -> Result<&'bytes [u8], String> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or(CUT)?;
        let (line, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        Ok(line)
    }

    fn line(&mut self) -> Result<&'bytes str, String> {
        std::str::from_utf8(self.bytes_of_line()?).map_err(|_| UNBALANCED.to_owned())
    }

    fn decimal(&mut self) -> Result<(), String> {
        let object = match self.line()?.trim_end_matches('L') {
            "00" => Object::Bool(false),
            "01" => Object::Bool(true),
            number => Object::Int(number.parse().map_err(|_| "has a number of more than 64 bits")?),
        };
        self.push(object);
        Ok(())
    }

    /// A whole number in two's complement, the lowest byte first. One that does not fit in 64 bits, as the state of a random
    /// number generator has, is `None`.
    fn long(&mut self) -> Result<(), String> {
        let length = usize::from(self.array::<1>()?[0]);
        let (content, rest) = self.rest.split_at_checked(length).ok_or(CUT)?;
        self.rest = rest;
        let negative = content.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut number = [if negative { 0xff } else { 0 }; 8];
        match number.get_mut(..length) {
            Some(low) => {
                low.copy_from_slice(content);
                self.push(Object::Int(i64::from_le_bytes(number)));
            }
            None => self.push(Object::None),
        }
        Ok(())
    }

    fn push(&mut self, object: Object) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    fn push_from<const N: usize>(&mut self, object: fn([u8; N]) -> Object) -> Result<(), String> {
        let array = self.array()?;
        self.push(object(array));
        Ok(())
    }

    /// The height of the stack above which the instruction may take.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id, String> {
        match self.stack.len() > self.floor() {
            true => self.stack.pop().ok_or_else(|| UNBALANCED.to_owned()),
            false => Err(UNBALANCED.to_owned()),
        }
    }

    fn take(&mut self, count: usize) -> Result<Vec<Id>, String> {
        let first = self.stack.len().checked_sub(count).filter(|first| *first >= self.floor()).ok_or(UNBALANCED)?;
        Ok(self.stack.split_off(first))
    }

    fn marked(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or(UNBALANCED)?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn top(&mut self) -> Result<&mut Object, String> {
        let id = *self.stack.last().ok_or(UNBALANCED)?;
        Ok(&mut self.objects[id])
    }

    fn append(&mut self, ids: Vec<Id>) -> Result<(), String> {
        match self.top()? {
            Object::List(list) => list.extend(ids),
            // The list of an object that was called for.
            Object::Call(..) => {}
            _ => return Err(UNBALANCED.to_owned()),
        }
        Ok(())
    }

    fn insert(&mut self, ids: &[Id]) -> Result<(), String> {
        let pairs = pairs(ids)?;
        match self.top()? {
            Object::Dict(items) => items.extend(pairs),
            Object::Call(..) => {}
            _ => return Err(UNBALANCED.to_owned()),
        }
        Ok(())
    }

    fn call(&mut self, function: Id, arguments: Id) {
        let ordered = matches!(&self.objects[function], Object::Global(_, name) if name == "OrderedDict" || name == "defaultdict");
        self.push(if ordered { Object::Dict(Vec::new()) } else { Object::Call(function, arguments) });
    }

    fn remember(&mut self, key: u64) -> Result<(), String> {
        let id = *self.stack.last().ok_or(UNBALANCED)?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), String> {
        let id = *self.memo.get(&key).ok_or(UNBALANCED)?;
        self.stack.push(id);
        Ok(())
    }
}

fn text(content: &[u8]) -> Result<Object, String> {
    Ok(Object::Text(String::from_utf8_lossy(content).into_owned()))
}

fn bytes(content: &[u8]) -> Result<Object, String> {
    Ok(Object::Bytes(content.to_vec()))
}

fn pairs(ids: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    let (pairs, []) = ids.as_chunks::<2>() else { return Err(UNBALANCED.to_owned()) };
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

/// Text in Python's `raw_unicode_escape`: Latin-1, and `\u` or `\U` before the four or eight hexadecimal digits of a code point.
fn unescaped(line: &[u8]) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = line;
    while let [first, after @ ..] = rest {
        let digits = match rest {
            [b'\\', b'u', ..] => 4,
            [b'\\', b'U', ..] => 8,
            _ => 0,
        };
        if digits == 0 {
            text.push(char::from(*first));
            rest = after;
            continue;
        }
        let code = rest.get(2..2 + digits).and_then(|code| std::str::from_utf8(code).ok()).ok_or(UNBALANCED)?;
        let code = u32::from_str_radix(code, 16).ok().and_then(char::from_u32).ok_or(UNBALANCED)?;
        text.push(code);
        rest = &rest[2 + digits..];
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn protocols_0_and_4_build_the_same_data() {
        // pickle.dumps({'a': [1, -2, 2.5, None, True], 'b': ('x', 300, 70000)}, protocol) of Python 3.11.
        let zero: &[u8] = b"(dp0\nVa\np1\n(lp2\nI1\naI-2\naF2.5\naNaI01\nasVb\np3\n(Vx\np4\nI300\nI70000\ntp5\ns.";
        let four: &[u8] = b"\x80\x04\x95/\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01J\xfe\xff\xff\xffG@\x04\x00\x00\x00\x00\x00\x00N\x88e\x8c\x01b\x94\x8c\x01x\x94M,\x01Jp\x11\x01\x00\x87\x94u.";
        for bytes in [zero, four] {
            let pickle = Pickle::parse(bytes).expect("a pickle");
            let a: Vec<_> =
                pickle.elements(pickle.item(pickle.root(), "a").expect("a")).expect("a list").cloned().collect();
            assert_eq!(a, [Object::Int(1), Object::Int(-2), Object::Float(2.5), Object::None, Object::Bool(true)]);
            let b: Vec<_> =
                pickle.elements(pickle.item(pickle.root(), "b").expect("b")).expect("a tuple").cloned().collect();
            assert_eq!(b, [Object::Text("x".to_owned()), Object::Int(300), Object::Int(70000)]);
        }
    }

    #[test]
    fn a_shared_container_is_filled_wherever_it_is_used() {
        // l = []; [l, l] with l filled after it was remembered: ] q0 ( ] q1 K1 a h1 e .
        let pickle = Pickle::parse(b"]q\x00(]q\x01K\x01ah\x01e.").expect("a pickle");
        let lists: Vec<_> = pickle.elements(pickle.root()).expect("a list").collect();
        assert_eq!(lists.len(), 2);
        assert!(lists.iter().all(|list| pickle.elements(list).is_some_and(|list| list.eq([&Object::Int(1)]))));
    }

    #[test]
    fn text_of_protocol_0_is_unescaped() {
        // pickle.dumps('é€\U0001F600\\', 0) of Python 3.11.
        let pickle = Pickle::parse(b"V\xe9\\u20ac\\U0001f600\\u005c\np0\n.").expect("a pickle");
        assert_eq!(pickle.root(), &Object::Text("é€😀\\".to_owned()));
    }

    #[test]
    fn nothing_is_called() {
        let pickle = Pickle::parse(b"cos\nsystem\n(Vrm\ntR.").expect("a pickle");
        let Object::Call(function, _) = pickle.root() else { panic!("a call: {:?}", pickle.root()) };
        assert_eq!(pickle.get(*function), &Object::Global("os".to_owned(), "system".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (bytes, said) in [
            (&b""[..], CUT),
            (b"K", CUT),
            (b"X\xff\xff\xff\xffab", CUT),
            (b".", UNBALANCED),
            (b"(K\x01.", "does not fit"),
            (b"u.", UNBALANCED),
            (b"K\x01(K\x02\x86.", UNBALANCED),
            (b"h\x05.", UNBALANCED),
            (b"\x01", "instruction 0x01"),
        ] {
            let found = Pickle::parse(bytes);
            // A mark that is left is no harm.
            assert!(
                found.as_ref().map_or_else(|error| error.contains(said), |_| bytes == b"(K\x01."),
                "{bytes:?}: {found:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Pickle::parse(&bytes);
        }
    }
}
