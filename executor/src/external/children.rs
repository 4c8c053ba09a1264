//! What a job of ours has begun on a Carte is removed there when it has ended, where it was told to list
//! it: else it would stay in the memory of that Carte until its `object_timeout_minutes` are over.

use super::Looker;
use crate::etl::say;
use shared::external::observe::Verdict;
use shared::ids::Millis;

/// For all of them together; what is not removed by then stays there.
const FORGET_MS: Millis = 10_000;

impl Looker {
    /// What is there before anything of ours is.
    pub(super) async fn note_children(&mut self) {
        if !self.external.lists {
            return;
        }
        if let Some(all) = self.connection.listed().await {
            self.begun.before(all);
        }
    }

    pub(super) async fn forget_children(&mut self, verdict: &Verdict) {
        if !self.external.lists || !matches!(verdict, Verdict::Ended(_) | Verdict::Stopped) {
            return;
        }
        let until = self.clock.mono_ms() + FORGET_MS;
        let all = self.connection.listed().await.unwrap_or_default();
        let (ours, mut left) = self.begun.ended(all);
        for it in &ours {
            if self.clock.mono_ms() >= until || !self.connection.remove(it).await {
                left += 1;
            }
        }
        if left > 0 {
            let title = self.external.server.title();
            say(&format!(
                "{left} of what {title} lists under names that this has begun are left there: others may have \
                 begun them, or it has not answered; it forgets them after its object_timeout_minutes"
            ));
        }
    }
}
