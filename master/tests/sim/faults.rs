//! What goes wrong.

use crate::cluster::{Cluster, DB, HOST, LEASE, Node};
use crate::db::Commit;
use master::engine::world::Todo;
use shared::ids::*;

impl Cluster {
    fn bad(&mut self, one_in_seconds: i64) -> bool {
        self.rng.one_in(one_in_seconds * 10 * self.weather)
    }

    pub(crate) fn faults(&mut self) {
        let now = self.now;
        for at in 0..self.nodes.len() {
            self.master_faults(at);
        }
        for at in 0..self.hosts.len() {
            self.host_faults(at);
        }
        if self.bad(60) {
            self.db.away_until = now + self.rng.below(15_000);
            self.note(|| "the database is away".into());
        }
        let two = self.nodes.iter().filter(|node| node.master.reign().is_some()).count() > 1;
        if self.bad(if two { 8 } else { 60 }) {
            self.fail_over(two);
        }
        if self.bad(80) {
            self.part();
        }
        if self.bad(200) {
            self.db.clock = self.rng.pick(&[0, 0, 300, -300, 3_600_000, -3_600_000]);
            self.note(|| "the database's clock steps".into());
        }
        if self.bad(100) {
            self.lease.away_until = now + self.rng.below(30_000);
        }
        if self.bad(if self.has_undelivered() { 6 } else { 100 }) {
            self.behead();
        }
    }

    fn master_faults(&mut self, at: usize) {
        let now = self.now;
        if self.bad(60) {
            let how_long = self.rng.pick(&[500, 3_000, 12_000, 40_000]);
            self.nodes[at].paused_until = now + self.rng.below(how_long);
            self.note(|| format!("master {at} is paused"));
        }
        if self.bad(80) {
            self.note(|| format!("master {at} dies"));
            self.nodes[at] = self.node();
            self.nodes[at].paused_until = now + self.rng.below(5_000);
        }
        if self.bad(100) {
            self.nodes[at].wall = self.rng.pick(&[0, 100, -200, 1_800_000, -1_800_000]);
            self.note(|| format!("the wall clock of master {at} steps"));
        }
        if self.rng.one_in(20) {
            // A monotonic clock that is a little too fast, or too slow.
            self.nodes[at].origin += self.rng.pick(&[0, -1, 1]);
        }
        for to in [DB, LEASE] {
            if self.bad(100) {
                self.cut_off(at, to);
            }
        }
        for host in 0..self.hosts.len() {
            if self.bad(100) {
                self.cut_off(at, HOST + host);
            }
        }
    }

    /// What makes a database fail over often breaks other things in the same moment.
    fn fail_over(&mut self, two_leaders: bool) {
        let now = self.now;
        let within = self.rng.pick(&[0, 300, 1_500, 5_000, 20_000]);
        let recent = |c: &&Commit| c.at + within > now;
        let mut lost = self.db.log.iter().rev().take_while(recent).count();
        if two_leaders && self.rng.one_in(2) {
            // All that the newer one has done, and its claim.
            let holder = self.db.leader.holder;
            let log = self.db.log.iter().rev();
            lost = 1 + log.take_while(|c| c.leader.holder == holder).count();
        }
        if self.rng.one_in(2) {
            self.part();
        }
        let host = self.rng.index(self.hosts.len());
        match self.rng.below(4) {
            0 => (0..self.nodes.len()).for_each(|master| self.cut_off(master, HOST + host)),
            1 => self.hosts[host].kill_supervisor(now + 1_000, &mut self.oracle),
            _ => {}
        }
        self.lose(lost);
        self.db.away_until = self.now + self.rng.below(4_000);
    }

    /// The leader is parted from the database for long and from the hosts for short, and the
    /// database loses what it stored last: a leader of a reign that never was speaks again later.
    fn behead(&mut self) {
        let holder = self.db.leader.holder;
        let leads =
            |node: &Node| node.master.reign().is_some_and(|reign| reign.row().holder == holder);
        let Some(leader) = self.nodes.iter().position(leads) else { return };
        self.note(|| format!("master {leader} is beheaded"));
        let longer = self.now + 40_000;
        let until = self.now + self.rng.pick(&[8_000, 12_000, 20_000]);
        for end in (HOST..HOST + self.hosts.len()).chain([DB, LEASE]) {
            let until = if end < DB { until } else { longer };
            self.cuts.insert((leader, end), until);
            self.cuts.insert((end, leader), until);
        }
        let (now, within) = (self.now, self.rng.pick(&[500, 1_000, 2_000]));
        let claim = self.rng.one_in(2);
        let lost = |c: &&Commit| match claim {
            true => c.leader.holder == holder,
            false => c.at + within > now,
        };
        let lost = self.db.log.iter().rev().take_while(lost).count() + usize::from(claim);
        self.lose(lost);
    }

    /// A start is on its way, or about to be.
    fn has_undelivered(&self) -> bool {
        let mut reigns = self.nodes.iter().filter_map(|node| node.master.reign());
        reigns.any(|reign| {
            reign.released().any(|todo| {
                let start = matches!(todo, Todo::Start { .. });
                start && !self.oracle.processes.contains_key(&todo.attempt())
            })
        })
    }

    fn lose(&mut self, lost: usize) {
        let undone = self.db.fail_over(lost);
        self.note(|| "the database fails over".into());
        for (key, row) in &undone {
            self.note(|| format!("lost: {key:?} {row:?}"));
        }
        self.oracle.undone(&self.db, &undone);
    }

    /// Some masters and hosts are on the side without the database, the masters for longer.
    fn part(&mut self) {
        let until = self.now + self.rng.pick(&[5_000, 12_000, 30_000]);
        let longer = self.now + 30_000;
        let away: Vec<usize> = (0..self.nodes.len()).filter(|_| self.rng.one_in(2)).collect();
        let hosts = (0..self.hosts.len()).filter(|_| self.rng.one_in(3));
        let with: Vec<usize> = hosts.map(|host| HOST + host).collect();
        self.note(|| format!("{away:?} and {with:?} are parted from the rest"));
        for master in 0..self.nodes.len() {
            for host in HOST..HOST + self.hosts.len() {
                if away.contains(&master) != with.contains(&host) {
                    self.cuts.insert((master, host), until);
                    self.cuts.insert((host, master), until);
                }
            }
            if away.contains(&master) {
                for end in [DB, LEASE] {
                    self.cuts.insert((master, end), longer);
                    self.cuts.insert((end, master), longer);
                }
            }
        }
    }

    fn cut_off(&mut self, one: usize, other: usize) {
        let until = self.now + self.rng.pick(&[2_000, 10_000, 30_000, 60_000]);
        let ways = self.rng.below(3);
        self.note(|| format!("{one} and {other} are cut off ({ways})"));
        if ways != 0 {
            self.cuts.insert((one, other), until);
        }
        if ways != 1 {
            self.cuts.insert((other, one), until);
        }
    }

    fn host_faults(&mut self, at: usize) {
        let now = self.now;
        let until = now + self.rng.pick(&[1_000, 5_000, 20_000, 50_000]);
        if self.dead == Some(at) && self.age() == 90_000 {
            self.note(|| format!("host {at} is dead for ever"));
            self.hosts[at].crash((now, Millis::MAX), true, &mut self.rng, &mut self.oracle);
        }
        if self.hosts[at].down_until == Millis::MAX {
            return;
        }
        if self.bad(120) {
            let disk_lost = self.rng.one_in(3);
            self.note(|| format!("host {at} crashes; disk lost: {disk_lost}"));
            self.hosts[at].crash((now, until), disk_lost, &mut self.rng, &mut self.oracle);
        }
        if self.limping.get(&at).is_some_and(|&until| until <= now) {
            self.limping.remove(&at);
            self.hosts[at].kill_supervisor(now, &mut self.oracle);
        }
        if self.bad(100) {
            self.note(|| format!("host {at} limps"));
            self.limping.insert(at, now + 2_000);
        }
        if self.bad(120) {
            self.note(|| format!("the supervisor of {at} is killed"));
            self.hosts[at].kill_supervisor(until, &mut self.oracle);
        }
        if self.bad(100) {
            self.note(|| format!("the supervisor of {at} sleeps"));
            self.hosts[at].asleep_until = until;
        }
        if self.bad(100) {
            self.note(|| format!("the supervisor of {at} re-executes itself"));
            let until = now + self.rng.pick(&[200, 1_000, 5_000]);
            self.hosts[at].reexecute(until);
        }
        if self.bad(100) {
            let clock_stops = self.rng.one_in(2);
            self.note(|| format!("host {at} freezes; clock stops: {clock_stops}"));
            self.hosts[at].freeze(until, clock_stops);
        }
        if self.bad(100) {
            self.hosts[at].wall = self.rng.pick(&[0, 50_000, -50_000, -3_600_000]);
        }
        if self.full_forever && at == 0 {
            self.hosts[at].full_disk = true;
        } else if self.rng.one_in(1_000 * self.weather) {
            self.hosts[at].full_disk ^= true;
        }
    }

    pub(crate) fn calm_down(&mut self) {
        self.note(|| "calm".into());
        self.cuts.clear();
        self.limping.clear();
        for node in &mut self.nodes {
            (node.paused_until, node.wall) = (0, 0);
        }
        for (at, host) in self.hosts.iter_mut().enumerate() {
            if host.down_until == Millis::MAX {
                continue;
            }
            for until in [
                &mut host.down_until,
                &mut host.supervisor_until,
                &mut host.frozen_until,
                &mut host.asleep_until,
            ] {
                *until = (*until).min(self.now);
            }
            (host.bad_luck, host.calm) = (50, true);
            host.full_disk = self.full_forever && at == 0;
        }
        (self.db.away_until, self.db.clock, self.lease.away_until) = (0, 0, 0);
    }
}
