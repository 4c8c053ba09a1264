//! The shape of one interface at one version: its jobs in the order of the DAG, and their edges.
//!
//! Made once per version, in O(jobs + edges), without recursion. What cannot be run as it is
//! written (a cycle, a predecessor that is not there) is refused when it is saved; should it come
//! here nevertheless, it is in [`Shape::broken`] and fails with the reason instead of hanging.

use super::catalog::{Interface, Job};
use super::reason::Reason;
use super::rows::{Part, Phase, Verdict};
use shared::ids::JobId;
use shared::period::{Cut, Granularity};
use shared::spec::{Expect, Join};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) interface: Arc<Interface>,
    pub(crate) cut: Cut,
    /// Parents before children.
    pub(crate) nodes: Vec<Node>,
    pub(crate) at: BTreeMap<JobId, usize>,
    /// Jobs that can never begin, and why.
    pub(crate) broken: BTreeMap<JobId, Reason>,
    /// Nothing is known of this version: runs by it do not end by having nothing to do.
    pub(crate) missing: bool,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) job: JobId,
    /// In `interface.jobs`.
    pub(crate) index: usize,
    pub(crate) ins: Vec<(usize, Expect)>,
    pub(crate) outs: Vec<(usize, Expect)>,
    pub(crate) success_codes: Vec<i32>,
}

/// How the edges into one job stand in one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edges {
    pub(crate) hold: usize,
    pub(crate) broken: usize,
}

/// Whether an edge holds; `None` while that is open.
pub(crate) fn holds(expect: Expect, from: Option<Phase>) -> Option<bool> {
    let Some(Phase::Done(verdict)) = from else { return None };
    Some(match expect {
        Expect::Success => matches!(verdict, Verdict::Succeeded | Verdict::LeftOut),
        Expect::Failure => is_failure(verdict),
        Expect::Done => true,
    })
}

pub(crate) fn is_failure(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Failed | Verdict::TimedOut)
}

impl Edges {
    pub(crate) fn count(&mut self, holds: Option<bool>, by: isize) {
        match holds {
            Some(true) => self.hold = self.hold.saturating_add_signed(by),
            Some(false) => self.broken = self.broken.saturating_add_signed(by),
            None => {}
        }
    }
}

impl Shape {
    pub(crate) fn new(interface: Arc<Interface>, cut: Cut) -> Shape {
        let (order, cyclic) = sorted(&interface.jobs);
        let at: BTreeMap<JobId, usize> =
            order.iter().enumerate().map(|(at, &index)| (interface.jobs[index].id, at)).collect();
        let mut broken: BTreeMap<JobId, Reason> =
            cyclic.iter().map(|&index| (interface.jobs[index].id, Reason::InCycle {})).collect();
        let mut nodes: Vec<Node> = order.iter().map(|&i| node(&interface.jobs[i], i)).collect();
        for to in 0..nodes.len() {
            let job = &interface.jobs[nodes[to].index];
            for edge in &job.spec.after {
                match at.get(&edge.job) {
                    Some(&from) => {
                        nodes[to].ins.push((from, edge.expect));
                        nodes[from].outs.push((to, edge.expect));
                    }
                    None => {
                        broken.insert(job.id, Reason::JobGone { job: edge.job });
                    }
                }
            }
        }
        Shape { interface, cut, nodes, at, broken, missing: false }
    }

    pub(crate) fn job(&self, at: usize) -> &Job {
        &self.interface.jobs[self.nodes[at].index]
    }

    pub(crate) fn granularity(&self) -> Granularity {
        self.cut.granularity
    }

    /// Whether the job may begin, as far as the edges go.
    pub(crate) fn may_begin(&self, at: usize, edges: Edges) -> bool {
        let all = self.nodes[at].ins.len();
        match self.job(at).spec.join {
            Join::All => edges.hold == all,
            Join::Any => all == 0 || edges.hold > 0,
        }
    }

    /// Whether the edges say that it never will.
    pub(crate) fn is_doomed(&self, at: usize, edges: Edges) -> bool {
        match self.job(at).spec.join {
            Join::All => edges.broken > 0,
            Join::Any => edges.broken > 0 && edges.broken == self.nodes[at].ins.len(),
        }
    }
}

fn node(job: &Job, index: usize) -> Node {
    let kind = shared::kind::find(&job.spec.kind);
    let success_codes = kind.map_or_else(|| vec![0], |kind| kind.success_codes(&job.spec.fields));
    Node { job: job.id, index, ins: Vec::new(), outs: Vec::new(), success_codes }
}

impl Shape {
    /// Where they stand, seen from this job; nothing if it is not one of ours.
    pub(crate) fn part(&self, job: JobId, part: Part) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut next: Vec<usize> = self.at.get(&job).copied().into_iter().collect();
        while let Some(at) = next.pop() {
            if !found.insert(at) {
                continue;
            }
            let node = &self.nodes[at];
            let edges = match part {
                Part::Alone => continue,
                Part::From => &node.outs,
                Part::To => &node.ins,
            };
            next.extend(edges.iter().map(|(other, _)| *other));
        }
        found
    }
}

/// Indexes with parents before children; and those that a cycle keeps from having a place (they
/// come last).
fn sorted(jobs: &[Job]) -> (Vec<usize>, Vec<usize>) {
    let index: BTreeMap<JobId, usize> = jobs.iter().enumerate().map(|(i, j)| (j.id, i)).collect();
    let mut missing = vec![0_usize; jobs.len()];
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); jobs.len()];
    for (to, job) in jobs.iter().enumerate() {
        for from in job.spec.after.iter().filter_map(|edge| index.get(&edge.job)) {
            missing[to] += 1;
            children[*from].push(to);
        }
    }
    let mut free: VecDeque<usize> = (0..jobs.len()).filter(|&i| missing[i] == 0).collect();
    let mut order = Vec::with_capacity(jobs.len());
    while let Some(from) = free.pop_front() {
        order.push(from);
        for &to in &children[from] {
            missing[to] -= 1;
            if missing[to] == 0 {
                free.push_back(to);
            }
        }
    }
    let cyclic: Vec<usize> = (0..jobs.len()).filter(|&i| missing[i] > 0).collect();
    order.extend(&cyclic);
    (order, cyclic)
}
