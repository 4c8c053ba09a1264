//! The world of [`shared::external::observe`]: a server that forgets, messages that are lost or late,
//! lookers-on that die at any step. An oracle judges by what has really run on the server; and each rule,
//! when it is broken, must be noticed.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod world;

use shared::external::observe::Sabotage;
use world::World;

const SEEDS: u64 = 20_000;
/// Until a broken rule is noticed: some need three misfortunes in a row.
const SEEDS_MAX: u64 = 300_000;

#[test]
fn every_world_keeps_the_promise() {
    let mut facts = world::Facts::default();
    for seed in 0..SEEDS {
        let mut world = World::new(seed, None);
        world.run();
        assert_eq!(world.broken, None, "seed {seed}\n{}", world.story());
        facts.add(&world.facts);
    }
    println!("{SEEDS} worlds, {facts:?}");
    // A world in which nothing goes wrong proves nothing.
    let seldom = [facts.killed, facts.lost, facts.late, facts.restarts, facts.gone, facts.adopted];
    assert!(seldom.iter().all(|n| *n > SEEDS / 20), "{facts:?}");
    assert!(facts.well > SEEDS / 2 && facts.failed > SEEDS / 20, "{facts:?}");
    assert!(facts.stopped > SEEDS / 50 && facts.foreign > SEEDS / 50, "{facts:?}");
}

#[test]
fn every_broken_rule_is_noticed() {
    for sabotage in [
        Sabotage::NeverLooks,
        Sabotage::StartsAgain,
        Sabotage::NeverSettles,
        Sabotage::ForgetsGone,
        Sabotage::LostIsFailed,
        Sabotage::StopsAndGoes,
        Sabotage::RegistersAgain,
        Sabotage::RevivesStopped,
    ] {
        let caught = (0..SEEDS_MAX).find_map(|seed| {
            let mut world = World::new(seed, Some(sabotage));
            world.run();
            world.broken.map(|why| (seed, why))
        });
        let (seed, why) = caught.unwrap_or_else(|| panic!("{sabotage:?} is noticed by nobody"));
        println!("{sabotage:?}: seed {seed}: {why}");
    }
}
