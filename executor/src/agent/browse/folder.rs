//! What is in a folder: folders, and files that Kettle or Hop would run.

use super::{Looker, Opened, changed_ms, of_descriptor, system};
use shared::etl::browse::{ENTRIES_MAX, Entry, Folder, Unseen};
use shared::etl::drawn::Form;
use shared::ids::Millis;
use std::path::Path;

/// Names that are looked at in one folder.
const NAMES_MAX: usize = 20_000;
/// And for so long: a share may be slow.
const LOOK_MAX_MS: Millis = 4_000;

impl Looker {
    pub(super) fn folder(&self, path: &str, after: &str) -> Result<Folder, Unseen> {
        let opened = self.open(path, true)?;
        let above = opened.real.parent().filter(|above| self.within(above).is_some());
        let folder = Folder {
            path: opened.real.display().to_string(),
            above: above.map(|above| above.display().to_string()),
            ..Folder::default()
        };
        self.list(&opened, folder, after)
    }

    /// What is in it.
    pub(super) fn list(
        &self,
        opened: &Opened,
        mut folder: Folder,
        after: &str,
    ) -> Result<Folder, Unseen> {
        let until = self.clock.mono_ms() + LOOK_MAX_MS;
        // By its descriptor: it is what was opened, whatever its name stands for by now.
        let listed = std::fs::read_dir(of_descriptor(&opened.file)).map_err(system)?;
        let mut entries = Vec::new();
        for (count, found) in listed.enumerate() {
            if count >= NAMES_MAX || self.clock.mono_ms() > until {
                folder.cut = true;
                break;
            }
            let found = found.map_err(system)?;
            let Ok(name) = found.file_name().into_string() else {
                folder.left_out += 1;
                continue;
            };
            // Of a repository it is what somebody has called it there.
            if name.starts_with('.') && folder.copied.is_none() {
                continue;
            }
            let Ok(kind) = found.file_type() else { continue };
            let is_folder = match kind.is_symlink() {
                false => kind.is_dir(),
                true => match self.led_to(&opened.real.join(&name)) {
                    Some(is_folder) => is_folder,
                    None => {
                        folder.left_out += u32::from(Form::of_file(&name).is_some());
                        continue;
                    }
                },
            };
            let form = if is_folder { None } else { Form::of_file(&name) };
            if is_folder || form.is_some() && (kind.is_file() || kind.is_symlink()) {
                entries.push(Entry { name, form, bytes: 0, changed_ms: 0 });
            }
        }
        entries.sort_by_key(Entry::key);
        entries.retain(|entry| after.is_empty() || entry.key().as_str() > after);
        if entries.len() > ENTRIES_MAX {
            entries.truncate(ENTRIES_MAX);
            folder.next = entries.last().map(Entry::key);
        }
        for entry in &mut entries {
            if self.clock.mono_ms() > until {
                break;
            }
            if let Ok(meta) = std::fs::metadata(of_descriptor(&opened.file).join(&entry.name)) {
                entry.bytes = if entry.form.is_some() { meta.len() } else { 0 };
                entry.changed_ms = changed_ms(&meta);
            }
        }
        folder.entries = entries;
        Ok(folder)
    }

    /// Whether a link leads to a folder; none: out of what is shown, or nowhere.
    fn led_to(&self, link: &Path) -> Option<bool> {
        let real = link.canonicalize().ok()?;
        self.within(&real)?;
        Some(real.is_dir())
    }
}
