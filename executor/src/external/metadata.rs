//! What a Hop server is sent of run configurations and connections: by the file that the environment
//! names, or the usual.

use std::io::Read;

/// Of a file with Hop's metadata.
const BYTES_MAX: u64 = 1024 * 1024;
/// Without a file of metadata: the engines that every Hop has. They tell on their way how far they are.
const USUAL: &str = r#"{"pipeline-run-configuration":[{"name":"local","description":"","configurationVariables":[],"defaultSelection":true,"engineRunConfiguration":{"Local":{"rowset_size":"10000","wait_time":"1","safe_mode":false,"feedback_size":"100000","show_feedback":true,"topo_sort":false,"gather_metrics":false,"sample_type_in_gui":"Last","sample_size":"100"}}}],"workflow-run-configuration":[{"name":"local","description":"","defaultSelection":true,"engineRunConfiguration":{"Local":{"safe_mode":false}}}]}"#;

/// # Errors
/// The file cannot be read, or is longer than any that is sent.
pub(super) fn of(path: &str) -> std::io::Result<String> {
    if path.is_empty() {
        return Ok(USUAL.to_owned());
    }
    let mut text = String::new();
    std::fs::File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    match text.len() as u64 > BYTES_MAX {
        true => Err(std::io::Error::other(format!("longer than {BYTES_MAX} bytes"))),
        false => Ok(text),
    }
}
