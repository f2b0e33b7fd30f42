//! `config.json`: the hyper-parameters of a model.

use serde_json::Value;

use super::Error;
use super::folder::Folder;

const FILE: &str = "config.json";

/// The file, or an object in it.
#[derive(Clone, Copy)]
pub struct Config<'a> {
    folder: &'a Folder,
    /// What comes before names in messages.
    within: &'a str,
    value: &'a Value,
}

impl<'a> Config<'a> {
    /// The content of the file.
    pub fn new(folder: &'a Folder, value: &'a Value) -> Self {
        Self { folder, within: "", value }
    }

    /// The value of a key; null where there is none.
    pub fn get(&self, key: &str) -> &'a Value {
        &self.value[key]
    }

    /// An object in it; empty where there is none.
    pub fn part(&self, key: &'a str) -> Self {
        Self { folder: self.folder, within: key, value: &self.value[key] }
    }

    /// An error about the value of a key.
    pub fn wrong(&self, key: &str, expected: &str) -> Error {
        let dot = if self.within.is_empty() { "" } else { "." };
        let what = match self.get(key) {
            Value::Null => format!("no {}{dot}{key}", self.within),
            value => {
                let value: String = value.to_string().chars().take(80).collect();
                format!("{}{dot}{key} is {value}", self.within)
            }
        };
        self.folder.wrong(FILE, what, expected)
    }

    /// A positive number.
    pub fn count(&self, key: &str) -> Result<u32, Error> {
        let expected = "a positive number";
        match self.whole(key, expected)? {
            Some(count) if count > 0 => Ok(count),
            _ => Err(self.wrong(key, expected)),
        }
    }

    /// A number that is not negative; `None` where there is none.
    pub fn opt_count(&self, key: &str) -> Result<Option<u32>, Error> {
        self.whole(key, "a number that is not negative")
    }

    fn whole(&self, key: &str, expected: &str) -> Result<Option<u32>, Error> {
        let value = self.get(key);
        // Some files write whole numbers as floats.
        let float = |value: &Value| {
            let number = value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0)?;
            (number <= u64::MAX as f64).then_some(number as u64)
        };
        let count = value.as_u64().or_else(|| float(value));
        match count.and_then(|count| u32::try_from(count).ok()) {
            Some(count) => Ok(Some(count)),
            None if value.is_null() => Ok(None),
            None => Err(self.wrong(key, expected)),
        }
    }

    /// A number.
    pub fn number(&self, key: &str) -> Result<f64, Error> {
        self.opt_number(key)?.ok_or_else(|| self.wrong(key, "a number"))
    }

    /// A number; `None` where there is none.
    pub fn opt_number(&self, key: &str) -> Result<Option<f64>, Error> {
        let value = self.get(key);
        match value.as_f64() {
            Some(number) if number.is_finite() => Ok(Some(number)),
            _ if value.is_null() => Ok(None),
            _ => Err(self.wrong(key, "a number")),
        }
    }

    /// Numbers; `None` where there are none.
    pub fn opt_numbers(&self, key: &str) -> Result<Option<Vec<f32>>, Error> {
        let value = self.get(key);
        if value.is_null() {
            return Ok(None);
        }
        let numbers = value.as_array().and_then(|items| {
            items.iter().map(|item| item.as_f64().map(|number| number as f32)).collect()
        });
        match numbers {
            Some(numbers) => Ok(Some(numbers)),
            None => Err(self.wrong(key, "numbers")),
        }
    }

    /// A text; `None` where there is none.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key).as_str()
    }

    /// Whether a switch is on; off where there is none.
    pub fn is_on(&self, key: &str) -> bool {
        self.get(key) == true
    }

    /// Values per head: a quotient where the file does not say.
    pub fn head_size(&self) -> Result<u32, Error> {
        match self.opt_count("head_dim")? {
            Some(size) if size > 0 => Ok(size),
            _ => {
                let (width, heads) =
                    (self.count("hidden_size")?, self.count("num_attention_heads")?);
                match width / heads {
                    0 => Err(self.wrong("num_attention_heads", "at most hidden_size")),
                    size => Ok(size),
                }
            }
        }
    }
}
