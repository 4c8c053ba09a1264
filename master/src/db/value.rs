//! What goes into a database and what comes out: four kinds of values, rows by name of column.

use super::error::{Error, Result};
use shared::ids::*;
use shared::period::Period;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    /// Bound as bytes always: as text, SQLite would make the number 123 of `0123`.
    Bytes(Vec<u8>),
    /// The identity of the server that executes this very statement (rule L3): asked before, the
    /// answer could be of another one.
    Server,
}

macro_rules! from_ints {
    ($($int:ty),*) => {$(
        impl From<$int> for Value {
            fn from(value: $int) -> Value {
                Value::Int(i64::from(value))
            }
        }
    )*};
}
from_ints!(i64, i32, u32, u16, u8, bool);

macro_rules! from_ids {
    ($($id:ty),*) => {$(
        impl From<$id> for Value {
            fn from(value: $id) -> Value {
                Value::Int(value.0)
            }
        }
    )*};
}
from_ids!(ProjectId, InterfaceId, JobId, DispatchId, CalendarId, HostId, UserId, CommandId, PoolId);
from_ids!(ExecutionId, RunId);

/// Counts of bytes and the like; what does not fit is cut at the greatest number.
impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Value {
        Value::Text(value.clone())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Value {
        Value::Bytes(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Value {
        Value::Bytes(value.to_vec())
    }
}

impl From<Period> for Value {
    fn from(value: Period) -> Value {
        Value::Text(value.to_string())
    }
}

impl From<Incarnation> for Value {
    fn from(value: Incarnation) -> Value {
        Value::Text(value.to_string())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// One row of an answer.
#[derive(Clone, Debug)]
pub struct Row {
    /// Shared by all rows of an answer.
    names: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    pub(super) fn new(names: Arc<[String]>, values: Vec<Value>) -> Row {
        Row { names, values }
    }

    pub fn get(&self, column: &str) -> Result<&Value> {
        let at = self.names.iter().position(|name| name == column);
        at.and_then(|at| self.values.get(at))
            .ok_or_else(|| Error::Fatal(format!("the answer has no column {column}")))
    }

    fn wrong<T>(column: &str, value: &Value, expected: &str) -> Result<T> {
        let is = match value {
            Value::Null => "NULL",
            Value::Int(_) => "a number",
            Value::Text(_) => "a text",
            Value::Bytes(_) => "bytes",
            Value::Server => "a server",
        };
        Err(Error::Fatal(format!("column {column} is {is}, and {expected} is expected")))
    }

    pub fn opt_int(&self, column: &str) -> Result<Option<i64>> {
        match self.get(column)? {
            Value::Null => Ok(None),
            Value::Int(value) => Ok(Some(*value)),
            other => Row::wrong(column, other, "a number"),
        }
    }

    pub fn int(&self, column: &str) -> Result<i64> {
        self.opt_int(column)?.map_or_else(|| Row::wrong(column, &Value::Null, "a number"), Ok)
    }

    /// 0 or not.
    pub fn flag(&self, column: &str) -> Result<bool> {
        self.int(column).map(|value| value != 0)
    }

    pub fn opt_text(&self, column: &str) -> Result<Option<&str>> {
        match self.get(column)? {
            Value::Null => Ok(None),
            Value::Text(value) => Ok(Some(value)),
            other => Row::wrong(column, other, "a text"),
        }
    }

    pub fn text(&self, column: &str) -> Result<&str> {
        self.opt_text(column)?.map_or_else(|| Row::wrong(column, &Value::Null, "a text"), Ok)
    }

    pub fn bytes(&self, column: &str) -> Result<&[u8]> {
        match self.get(column)? {
            Value::Bytes(value) => Ok(value),
            other => Row::wrong(column, other, "bytes"),
        }
    }

    /// A number that must fit a smaller type: `row.small::<u32>("slots")`.
    pub fn small<T: TryFrom<i64>>(&self, column: &str) -> Result<T> {
        let value = self.int(column)?;
        T::try_from(value)
            .map_err(|_| Error::Fatal(format!("column {column}: {value} is out of range")))
    }

    /// A text that must be of a form: `row.parsed::<Period>("period")`.
    pub fn parsed<T: std::str::FromStr>(&self, column: &str) -> Result<T>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.text(column)?;
        text.parse().map_err(|error| Error::Fatal(format!("column {column}: {error}")))
    }

    /// A text that must be JSON of this form.
    pub fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<T> {
        serde_json::from_str(self.text(column)?)
            .map_err(|error| Error::Fatal(format!("column {column}: {error}")))
    }
}
