//! What Windows shows of an executable: icon, name and version.

use std::fmt;
use std::str::FromStr;

use crate::Error;
use crate::bytes::View;
use crate::resources::Resource;

/// Kinds of resources.
const ICON: u32 = 3;
const ICON_GROUP: u32 = 14;
const VERSION: u32 = 16;
/// Language of a resource for all users, and of its texts: American English, UTF-16.
const NEUTRAL: u32 = 0;
const ENGLISH: u16 = 0x0409;
const UTF16: u16 = 1200;
/// Longest name.
const MAX_NAME: usize = 200;
/// Most bytes of an icon's images; files may list the same bytes again and again.
const MAX_ICON: usize = 16 << 20;

/// What Windows shows of an executable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Icon of the file.
    pub icon: Option<Icon>,
    /// Name of the program.
    pub name: Option<Name>,
    /// Its version.
    pub version: Option<Version>,
}

impl About {
    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn resources(&self) -> Vec<Resource> {
        let resource = |kind, id, data| Resource { kind, id, language: NEUTRAL, data };
        let mut all = Vec::new();
        if let Some(icon) = &self.icon {
            let images = icon.images.iter().zip(1..);
            all.extend(images.map(|((_, image), id)| resource(ICON, id, image.clone())));
            all.push(resource(ICON_GROUP, 1, icon.group()));
        }
        if self.name.is_some() || self.version.is_some() {
            all.push(resource(VERSION, 1, self.version_info()));
        }
        all
    }

    /// `VS_VERSIONINFO`, as Microsoft's documentation of version information has it.
    fn version_info(&self) -> Vec<u8> {
        let name = self.name.as_ref().map_or("llamafile", |name| &name.0);
        let version = self.version.unwrap_or(Version([0; 4]));
        let mut texts = vec![
            ("FileDescription", name.to_owned()),
            ("InternalName", "llamafile".to_owned()),
            ("ProductName", name.to_owned()),
        ];
        if self.version.is_some() {
            texts.push(("FileVersion", version.to_string()));
            texts.push(("ProductVersion", version.to_string()));
        }
        let texts = texts.iter().map(|(key, text)| node(key, Value::Text(text), &[])).collect();
        let table = node(&format!("{ENGLISH:04X}{UTF16:04X}"), Value::None, &[texts]);
        let languages = [ENGLISH, UTF16].into_iter().flat_map(u16::to_le_bytes).collect();
        let languages = node("Translation", Value::Bytes(languages), &[]);
        let children = vec![
            node("StringFileInfo", Value::None, &[vec![table]]),
            node("VarFileInfo", Value::None, &[vec![languages]]),
        ];
        node("VS_VERSION_INFO", Value::Bytes(version.fixed()), &[children])
    }
}

/// An icon, in several sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icon {
    /// What the file says of each image (size, colours), and the image.
    images: Vec<([u8; 12], Vec<u8>)>,
}

impl Icon {
    /// Reads an `.ico` file, called `name`.
    ///
    /// # Errors
    /// Bytes that are no such file.
    pub fn new(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let view = View(bytes);
        let wrong = |problem: &str| Error::engine(name, problem);
        let (Some((0, 1)), Some(count)) = (view.u16(0).zip(view.u16(2)), view.u16(4)) else {
            return Err(wrong("it is no icon; expected a file in the format .ico"));
        };
        let image = |index: u64| {
            let at = 6 + 16 * index;
            let len = u64::from(view.u32(at + 8)?);
            let image = view.bytes(u64::from(view.u32(at + 12)?), len)?;
            // A bitmap with the header of that size, or PNG.
            let known = image.starts_with(&[40, 0, 0, 0]) || image.starts_with(b"\x89PNG");
            let about = *view.bytes(at, 12)?.first_chunk()?;
            known.then_some((about, image))
        };
        let mut images = Vec::new();
        let mut total = 0;
        for index in 0..u64::from(count) {
            let (about, image) = image(index)
                .ok_or_else(|| wrong("it is damaged: an image that it lists is not in it"))?;
            total += image.len();
            if total > MAX_ICON {
                return Err(wrong("its images have more than 16 MB"));
            }
            images.push((about, image.to_vec()));
        }
        if images.is_empty() {
            return Err(wrong("there is no image in it"));
        }
        Ok(Self { images })
    }

    /// The list of images, with the numbers of their resources.
    fn group(&self) -> Vec<u8> {
        let header = [0, 1, self.images.len() as u16].map(u16::to_le_bytes);
        let mut out = header.concat();
        for ((about, _), id) in self.images.iter().zip(1u16..) {
            out.extend_from_slice(about);
            out.extend_from_slice(&id.to_le_bytes());
        }
        out
    }
}

/// The name of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > MAX_NAME || text.chars().any(char::is_control) {
            return Err("a name of 1 to 200 bytes without control characters");
        }
        Ok(Self(text.to_owned()))
    }
}

/// The version of a program: four numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version([u16; 4]);

impl Version {
    /// `VS_FIXEDFILEINFO`: the same version of file and product, a program for Windows.
    fn fixed(self) -> Vec<u8> {
        let [a, b, c, d] = self.0.map(u32::from);
        let (high, low) = (a << 16 | b, c << 16 | d);
        let fields = [0xfeef_04bd, 0x1_0000, high, low, high, low, 0x3f, 0, 0x4_0004, 1, 0, 0, 0];
        fields.into_iter().flat_map(u32::to_le_bytes).collect()
    }
}

impl FromStr for Version {
    type Err = &'static str;

    /// Up to four numbers with dots between them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "up to four numbers below 65536, such as 1.2.0";
        let mut version = [0; 4];
        let parts: Vec<&str> = text.split('.').collect();
        if parts.len() > version.len() {
            return Err(expected);
        }
        for (number, part) in version.iter_mut().zip(parts) {
            *number = part.parse().map_err(|_| expected)?;
        }
        Ok(Self(version))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a}.{b}.{c}.{d}")
    }
}

/// What a part of version information holds itself.
enum Value<'a> {
    None,
    Text(&'a str),
    Bytes(Vec<u8>),
}

/// A part of version information: length, length of the value, whether it is text, key, value,
/// parts; each begins at a multiple of 4 bytes.
fn node(key: &str, value: Value<'_>, parts: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let utf16 = |text: &str| -> Vec<u8> {
        text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
    };
    let (value, len, is_text) = match value {
        Value::None => (Vec::new(), 0, 1),
        Value::Text(text) => {
            let value = utf16(text);
            let len = value.len() / 2;
            (value, len, 1)
        }
        Value::Bytes(value) => {
            let len = value.len();
            (value, len, 0)
        }
    };
    let mut out = vec![0; 2];
    out.extend_from_slice(&(len as u16).to_le_bytes());
    out.extend_from_slice(&u16::to_le_bytes(is_text));
    out.extend(utf16(key));
    for part in [&value].into_iter().chain(parts.iter().flatten()) {
        if !part.is_empty() {
            out.resize(out.len().next_multiple_of(4), 0);
            out.extend_from_slice(part);
        }
    }
    let len = out.len() as u16;
    out[..2].copy_from_slice(&len.to_le_bytes());
    out
}
