//! `hcndc host token | deny`.

use super::api::Api;
use super::show::{self, Kind};
use super::{Code, Done, Failure, print, print_json};
use serde_json::{Value, json};

async fn ask(api: &Api, name: &str, verb: &str) -> Result<Value, Failure> {
    let id = show::id_of(api, Kind::Host, name).await?;
    api.post(&format!("/api/v1/hosts/{id}/{verb}"), &json!({})).await
}

pub(super) async fn token(api: &Api, json: bool, name: &str) -> Done {
    let told = ask(api, name, "invite").await?;
    if json {
        print_json(&told);
        return Ok(Code::Ok);
    }
    let (host, token) = (text(&told["host"]), text(&told["token"]));
    print("Good once and for a day. On the host:\n");
    let master = api.address();
    print(&format!("  hcndc-executor join --master {master} --host {host} --token {token}"));
    Ok(Code::Ok)
}

pub(super) async fn deny(api: &Api, json: bool, name: &str) -> Done {
    let told = ask(api, name, "deny").await?;
    match json {
        true => print_json(&told),
        false => print(&format!("{} certificates of {name} are denied", told["denied"])),
    }
    Ok(Code::Ok)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
