//! What is registered: a job or a workflow of our own, of one entry, which runs what is asked for.

use super::Beside;
use crate::external::{External, Source};
use std::fmt::Write;

pub(super) fn job(external: &External, beside: Beside) -> String {
    let mut xml = String::new();
    let mut entry = String::new();
    let (kind, object) = if external.flow { ("JOB", "jobname") } else { ("TRANS", "transname") };
    tag(&mut entry, "name", "work");
    tag(&mut entry, "type", kind);
    match &external.source {
        Source::File(file) => {
            tag(&mut entry, "specification_method", "filename");
            tag(&mut entry, "filename", file);
        }
        Source::Repository { directory, object: name, .. } => {
            tag(&mut entry, "specification_method", "rep_name");
            tag(&mut entry, object, name);
            tag(&mut entry, "directory", if directory.is_empty() { "/" } else { directory });
        }
    }
    for (name, value) in [
        ("arg_from_previous", "N"),
        ("params_from_previous", "N"),
        ("exec_per_row", "N"),
        ("clear_rows", "N"),
        ("clear_files", "N"),
        ("set_logfile", "N"),
        ("cluster", "N"),
        ("wait_until_finished", "Y"),
        ("follow_abort_remote", "N"),
        ("loglevel", &external.level),
    ] {
        tag(&mut entry, name, value);
    }
    entry.push_str(&parameters(external));
    entry.push_str(PLACE);
    let _ = write!(
        xml,
        "<job_configuration><job><name>{}</name><entries><entry><name>START</name><type>SPECIAL</type>\
         <start>Y</start><dummy>N</dummy><repeat>N</repeat><schedulerType>0</schedulerType>{PLACE}</entry>\
         <entry>{entry}</entry></entries><hops><hop><from>START</from><to>work</to><from_nr>0</from_nr>\
         <to_nr>0</to_nr><enabled>Y</enabled><evaluation>Y</evaluation><unconditional>Y</unconditional>\
         </hop></hops></job><job_execution_configuration><log_level>{}</log_level>\
         <clear_log>Y</clear_log><safe_mode>N</safe_mode><expand_remote_job>{}</expand_remote_job>",
        escaped(&external.key),
        escaped(&external.level),
        if external.lists { "Y" } else { "N" },
    );
    if let Source::Repository { name, user, .. } = &external.source {
        let _ = write!(
            xml,
            "<repository><name>{}</name><login>{}</login><password>{}</password></repository>",
            escaped(name),
            escaped(user),
            escaped(beside.secret),
        );
    }
    xml.push_str("</job_execution_configuration></job_configuration>");
    xml
}

const PLACE: &str = "<parallel>N</parallel><draw>Y</draw><nr>0</nr><xloc>64</xloc><yloc>64</yloc>";

pub(super) fn workflow(external: &External, beside: Beside) -> String {
    let Source::File(file) = &external.source else { return String::new() };
    let kind = if external.flow { "WORKFLOW" } else { "PIPELINE" };
    let configured = match external.run_configuration.as_str() {
        "" => "local",
        name => name,
    };
    let level = &external.level;
    let mut action = String::new();
    for (name, value) in [
        ("name", "work"),
        ("type", kind),
        ("filename", file),
        ("run_configuration", configured),
        ("wait_until_finished", "Y"),
        ("loglevel", level),
    ] {
        tag(&mut action, name, value);
    }
    action.push_str(&parameters(external));
    action.push_str("<parallel>N</parallel><xloc>64</xloc><yloc>64</yloc>");
    format!(
        "<workflow_configuration><workflow><name>{key}</name>\
         <name_sync_with_filename>N</name_sync_with_filename><parameters></parameters><actions>\
         <action><name>Start</name><type>SPECIAL</type><repeat>N</repeat><schedulerType>0</schedulerType>\
         <parallel>N</parallel><xloc>32</xloc><yloc>32</yloc></action><action>{action}</action></actions>\
         <hops><hop><from>Start</from><to>work</to><enabled>Y</enabled><evaluation>Y</evaluation>\
         <unconditional>Y</unconditional></hop></hops></workflow><workflow_execution_configuration>\
         <parameters></parameters><variables></variables><log_level>{level}</log_level>\
         <clear_log>Y</clear_log><run_configuration>local</run_configuration>\
         </workflow_execution_configuration><metastore_json>{metadata}</metastore_json>\
         </workflow_configuration>",
        key = escaped(&external.key),
        level = escaped(level),
        metadata = beside.metadata,
    )
}

fn parameters(external: &External) -> String {
    let mut xml = String::from("<parameters><pass_all_parameters>N</pass_all_parameters>");
    for (name, value) in &external.params {
        let (name, value) = (escaped(name), escaped(value));
        let _ = write!(
            xml,
            "<parameter><name>{name}</name><stream_name/><value>{value}</value></parameter>"
        );
    }
    xml.push_str("</parameters>");
    xml
}

fn tag(xml: &mut String, name: &str, value: &str) {
    let _ = write!(xml, "<{name}>{}</{name}>", escaped(value));
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\r' | '\t' => _ = write!(out, "&#{};", u32::from(c)),
            // XML has no way to say these.
            c if c < ' ' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
