//! Ways to break one rule of the protocol, for the simulation only: each must be caught by it.
//!
//! The pure cores (the World, the leader's core, the attempts core) ask [`Switch`] at the place
//! where the rule bites. The product passes `None`; `master/tests/sim` passes each in turn.

macro_rules! sabotages {
    ($($name:ident $rule:literal $what:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Sabotage { $(#[doc = $what] $name,)* }

        impl Sabotage {
            /// The switch, its rule in the protocol, and what it does.
            pub const ALL: &[(Sabotage, &str, &str)] =
                &[$((Sabotage::$name, $rule, $what),)*];

            /// By its name: `AnyEpoch`.
            pub fn find(name: &str) -> Option<Sabotage> {
                Sabotage::ALL.iter().map(|(s, ..)| *s).find(|s| format!("{s:?}") == name)
            }
        }
    };
}

sabotages! {
    IgnoreHigherEpoch "L2" "a leader that a host refuses for a higher epoch goes on",
    NoGuard "L3" "a batch does not look at the leader row",
    GuardAnyServer "L3" "the guard does not name the database server",
    UnknownIsDone "L3" "a batch of unknown outcome counts as done",
    UnknownIsNotDone "L3" "a batch of unknown outcome is merged into the next one, unread",
    OrderBeforeCommit "L3" "orders leave before their batch is stored",
    BadItemFailsBatch "L4" "an item that cannot be stored is not split off",
    PlaceUnasked "L5" "a new leader places before the hosts have spoken",
    NoDoubt "L5" "after a lossy failover wait jobs wait LOST only for hosts that have not spoken",
    NoAdoption "L5" "a listed attempt that no row knows is not adopted",
    CursorFromFirings "L6" "the cursor is the last firing row",
    FiringAnyRevision "L6" "a firing is written for whatever revision",
    FireByWall "L7" "firing looks at the wall clock",
    BusOnly "L8" "commands are read only when the bus says so",
    CountedIncarnation "H2" "incarnations are counted on the host's disk",
    OrderByWall "H3" "answers are ordered by the host's wall clock",
    AnyCall "H3" "an answer to an older call counts if its incarnation is another or its seq higher",
    SharedEpoch "H4" "a host takes orders of two leaders with one epoch",
    AnyEpoch "H4" "a host takes orders of any epoch",
    AnyIncarnation "H4" "a host takes orders for another incarnation",
    AnyBasis "H4" "a host takes orders that rest on what it has forgotten",
    FreshBasis "H4" "an order names the last answer heard, not the one its committed state rests on",
    AttemptByNumber "H4" "the reign is not part of an attempt's id",
    ForgetUnheard "H5" "a host forgets after the horizon what nobody has stored",
    ForgetHeard "H5" "a host forgets at once what was acknowledged",
    StartAgain "H5" "a repeated start of a settled attempt starts it",
    NoTombstone "H5" "a kill for an unknown attempt leaves nothing",
    NoVanished "H6" "an attempt that the next incarnation does not list goes on",
    ListLiveOnly "H6" "a full list has only what is live",
    PartIsFull "H6" "a full list that was cut short counts as all there is",
    RefuseSilently "H6" "a host that cannot start says nothing",
    LostOnce "H7" "lost is an event: a heard host falls silent",
    NoFence "H8" "a host's lease does not end",
    LeaseFromHearing "H8" "the lease counts from when the echo came",
    NoLeaseOnStart "H8" "a start that is older than the end of the lease is taken",
    EchoUnguarded "H9" "what was heard is echoed without a round trip to the database",
    LostIsUnknown "H10" "a silent host's wait jobs are treated by on_unknown",
    UnknownIsLost "H10" "an unknown end is always tried again",
    AbandonAndForget "H10" "an abandoned attempt is not killed where it may still begin",
    FollowsPowerLoss "H11" "a new life answers for the one before although the machine began anew",
    FollowsDamaged "H11" "a new life answers for the one before although its journal is damaged",
    FollowsForgotten "H11" "what rests on an answer of before a former life forgot is given to the next",
    ReexecIsNewLife "P1" "a supervisor that re-executes itself takes a new incarnation, its children live on",
    AnswerBeforeSweep "P2" "a new supervisor answers before the old children are proved gone",
    KillIsGone "P2" "what was told to end is reported as ended",
    JournalAfterSpawn "P4" "an attempt is written to the journal only when it ends",
    FactsBeforeWaits "mesh" "facts about targets outside are looked at before the wait is registered",
    EvictWaitedFor "mesh" "a slice that somebody waits for, or that lives, is dropped",
    PoolsByHost "mesh" "a concurrency pool is counted per host",
    FillPastSlots "backfill" "a backfill does not count what lives of it",
    FillUnpinned "backfill" "a backfill goes by the definitions of the moment",
    FillForgets "backfill" "the cursor of a backfill is a step ahead of what it has made",
    NoOutbox "alerts" "an execution that ends is not told of in the batch that ends it",
}

/// `None`: all rules are kept.
pub type Switch = Option<Sabotage>;
