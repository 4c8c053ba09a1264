//! Reading many rows in few queries, each of a bounded size.

use crate::db::{self, Db, Row, Value};

/// Ids in one query.
pub(super) const IDS_MAX: usize = 500;
/// Rows in one answer; then the next page is asked for.
pub(super) const PAGE: usize = 20_000;

/// `(?,?,?)`
pub(super) fn marks(count: usize) -> String {
    format!("({})", vec!["?"; count].join(","))
}

/// Filled up with the last one to one of few lengths, so that prepared statements are used again.
pub(super) fn padded(ids: &[i64]) -> Vec<Value> {
    let length = ids.len().next_power_of_two().min(IDS_MAX.max(ids.len()));
    let last = ids.last().copied().unwrap_or_default();
    let ids = ids.iter().copied().chain(std::iter::repeat(last)).take(length);
    ids.map(Value::Int).collect()
}

/// Rows whose `column` is one of the ids, page by page along `order` (whose values, together, no two
/// rows share). `select` ends before the WHERE; `more` is a further condition, or empty.
pub(super) async fn by_ids(
    db: &Db,
    ids: &[i64],
    (select, column): (&str, &str),
    (order, more): (&[&str], &str),
) -> db::Result<Vec<Row>> {
    let mut all = Vec::new();
    for ids in ids.chunks(IDS_MAX) {
        let mut after: Option<Vec<Value>> = None;
        loop {
            let mut params = padded(ids);
            let mut sql = format!("{select} WHERE {column} IN {}", marks(params.len()));
            if !more.is_empty() {
                sql = format!("{sql} AND {more}");
            }
            if let Some(values) = &after {
                let (condition, bound) = beyond(order, values);
                sql = format!("{sql} AND {condition}");
                params.extend(bound);
            }
            sql = format!("{sql} ORDER BY {} LIMIT {PAGE}", order.join(", "));
            let rows = db.query(sql, params).await?;
            let full = rows.len() == PAGE;
            after = match rows.last() {
                Some(row) if full => Some(
                    order
                        .iter()
                        .map(|name| row.get(bare(name)).cloned())
                        .collect::<db::Result<_>>()?,
                ),
                _ => None,
            };
            all.extend(rows);
            if after.is_none() {
                break;
            }
        }
    }
    Ok(all)
}

/// `j.run_id` is `run_id` in the answer.
fn bare(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// `(a > ? OR (a = ? AND (b > ?)))`: an index is used for this in all databases.
pub(super) fn beyond(order: &[&str], values: &[Value]) -> (String, Vec<Value>) {
    let mut condition = String::new();
    let mut params = Vec::new();
    for (at, (name, value)) in order.iter().zip(values).enumerate() {
        params.push(value.clone());
        if at + 1 == order.len() {
            condition.push_str(&format!("({name} > ?"));
        } else {
            condition.push_str(&format!("({name} > ? OR ({name} = ? AND "));
            params.push(value.clone());
        }
    }
    condition.push(')');
    condition.push_str(&"))".repeat(order.len().saturating_sub(1)));
    (condition, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_beyond_the_last_row() {
        let (text, params) = beyond(&["a"], &[Value::Int(1)]);
        assert_eq!((text.as_str(), params.len()), ("(a > ?)", 1));
        let (text, params) = beyond(&["a", "b"], &[Value::Int(1), Value::Int(2)]);
        assert_eq!((text.as_str(), params.len()), ("(a > ? OR (a = ? AND (b > ?)))", 3));
        assert_eq!(padded(&[1, 2, 3]).len(), 4);
        assert_eq!(padded(&(0..500).collect::<Vec<_>>()).len(), 500);
    }
}
