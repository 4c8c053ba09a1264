//! Values on their way to the server and back.

use super::fault::fault;
use crate::db::bulk::head;
use crate::db::error::{Error, Result};
use crate::db::{Row, Value};
use mysql_async::consts::ColumnType;
use mysql_async::prelude::Queryable;
use mysql_async::{Column, Params};
use std::borrow::Cow;
use std::sync::Arc;

/// The character set of what is no text.
const BINARY: u16 = 63;

/// Parameters as the driver wants them; the server's identity becomes a part of the statement, so that
/// whoever executes it says its own.
pub(super) fn bind<'a>(sql: &'a str, params: Vec<Value>, server: &str) -> (Cow<'a, str>, Params) {
    let mut text = Cow::Borrowed(sql);
    if params.contains(&Value::Server) {
        text = Cow::Owned(with_server(sql, &params, server));
    }
    let values: Vec<mysql_async::Value> =
        params.into_iter().filter(|value| *value != Value::Server).map(to_driver).collect();
    (text, if values.is_empty() { Params::Empty } else { Params::Positional(values) })
}

/// Our SQL has no `?` but parameters: texts are parameters too.
fn with_server(sql: &str, params: &[Value], server: &str) -> String {
    let mut text = String::with_capacity(sql.len() + server.len());
    let mut values = params.iter();
    for part in sql.split_inclusive('?') {
        match part.strip_suffix('?') {
            Some(before) if values.next() == Some(&Value::Server) => {
                text.push_str(before);
                text.push_str(server);
            }
            _ => text.push_str(part),
        }
    }
    text
}

pub(super) fn to_driver(value: Value) -> mysql_async::Value {
    match value {
        // In rows the identity has no place: `bind` has taken those of statements out.
        Value::Null | Value::Server => mysql_async::Value::NULL,
        Value::Int(value) => value.into(),
        Value::Text(value) => value.into(),
        Value::Bytes(value) => value.into(),
    }
}

pub(super) async fn rows(
    on: &mut impl Queryable,
    sql: &str,
    params: Params,
    rows_max: usize,
) -> Result<Vec<Row>> {
    let wrong = |error: &mysql_async::Error| match fault(error) {
        Error::Fatal(why) => Error::Fatal(format!("{why} in: {}", head(sql))),
        other => other,
    };
    let mut answer = on.exec_iter(sql, params).await.map_err(|error| wrong(&error))?;
    let columns = answer.columns().unwrap_or_default();
    let names: Arc<[String]> = columns.iter().map(|column| column.name_str().into()).collect();
    let mut rows = Vec::new();
    while let Some(row) = answer.next().await.map_err(|error| wrong(&error))? {
        if rows.len() >= rows_max {
            drop(row);
            return Err(Error::Fatal(format!("more than {rows_max} rows for: {sql}")));
        }
        let values = row.unwrap().into_iter().zip(columns.iter());
        let values = values.map(|(value, column)| from_driver(value, column));
        rows.push(Row::new(names.clone(), values.collect::<Result<_>>()?));
    }
    Ok(rows)
}

fn from_driver(value: mysql_async::Value, column: &Column) -> Result<Value> {
    let name = column.name_str();
    let no_number =
        || Error::Fatal(format!("column {name} is a fraction or too large: not in our SQL"));
    match value {
        mysql_async::Value::NULL => Ok(Value::Null),
        mysql_async::Value::Int(value) => Ok(Value::Int(value)),
        mysql_async::Value::UInt(value) => {
            i64::try_from(value).map(Value::Int).map_err(|_| no_number())
        }
        // What SUM answers with.
        mysql_async::Value::Bytes(text)
            if column.column_type() == ColumnType::MYSQL_TYPE_NEWDECIMAL =>
        {
            let text = String::from_utf8_lossy(&text);
            text.parse().map(Value::Int).map_err(|_| no_number())
        }
        mysql_async::Value::Bytes(bytes) if column.character_set() == BINARY => {
            Ok(Value::Bytes(bytes))
        }
        mysql_async::Value::Bytes(bytes) => String::from_utf8(bytes)
            .map(Value::Text)
            .map_err(|_| Error::Fatal(format!("column {name} is not UTF-8"))),
        _ => Err(no_number()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_a_part_of_the_statement() {
        let params = vec![Value::Int(1), Value::Server, Value::Int(2)];
        let (sql, params) = bind("UPDATE t SET a = ? WHERE s = ? AND b = ?", params, "@@id");
        assert_eq!(sql, "UPDATE t SET a = ? WHERE s = @@id AND b = ?");
        assert!(matches!(params, Params::Positional(values) if values.len() == 2));
        let (sql, params) = bind("SELECT ? AS s", vec![Value::Server], "@@id");
        assert_eq!(sql, "SELECT @@id AS s");
        assert!(matches!(params, Params::Empty));
    }
}
