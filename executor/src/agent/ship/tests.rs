use super::*;
use crate::supervise::talk::{self, Ask, Framed, Outputs, Told};
use shared::address::Target;
use shared::ids::{JobId, RunId};
use shared::wire::Hello;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// How often it was asked.
fn supervisor(socket: &Path, ships: bool) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(socket).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    shared::tasks::spawn("supervisor", async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = Vec::new();
        while stream.read_buf(&mut buffer).await.unwrap() > 0 {
            while let Some(frame) = talk::take_frame(&mut buffer).unwrap() {
                let Framed { id, body } = talk::decode::<Framed<Ask>>(&frame).unwrap();
                assert!(matches!(body, Ask::Outputs { .. }));
                count.fetch_add(1, Ordering::Relaxed);
                let (life, listed) = (Incarnation(9), Vec::new());
                let (seq, more, missed) = (1, false, false);
                let outputs = Outputs { ships, life, seq, listed, more, missed };
                let answer = talk::encode(&Framed { id, body: Told::Outputs(outputs) }).unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        }
    });
    asked
}

async fn shipper(ships: bool) -> (Shipper, Arc<AtomicUsize>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::make(dir.path()).unwrap();
    let socket = layout.socket();
    let asked = supervisor(&socket, ships);
    // Nobody is there, and nobody is asked.
    let target = Target::plain("logs", "mongodb://127.0.0.1:1/");
    let (cluster, agent, version) = ("test".into(), "a1".into(), String::new());
    let own = Hello { protocol: 1, cluster, version, agent };
    let store = Store::open(target, &own).await.unwrap();
    let clock = Clock::set_to(1_700_000_000_000);
    (Shipper::new(layout, SupervisorLink::new(&socket), store, clock), asked, dir)
}

#[tokio::test]
async fn a_supervisor_that_does_not_ship_is_told_of_at_once_and_each_minute() {
    let (mut shipper, _, _dir) = shipper(false).await;
    let learned = shipper.learn().await;
    assert!(learned.is_ok() && !shipper.ships && shipper.rest);
    let mut told = Vec::new();
    for _ in 0..5 {
        shipper.tell_deaf(&learned);
        told.extend(shipper.deaf);
        shipper.clock.advance(TOLD_EVERY_MS / 2);
    }
    assert_eq!(told, [0, 0, 2, 2, 4].map(|halves| halves * TOLD_EVERY_MS / 2));
    shipper.ships = true;
    shipper.tell_deaf(&learned);
    assert_eq!(shipper.deaf, None);
    shipper.tell_deaf(&Err(anyhow::anyhow!("it is not there")));
    assert_eq!(shipper.deaf, Some(shipper.clock.mono_ms()), "it may just be starting");
}

#[tokio::test]
async fn whether_it_ships_is_not_asked_again_and_again() {
    let (mut shipper, asked, _dir) = shipper(true).await;
    shipper.learn().await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2, "before the disk is looked at, and after");
    // With so much to ship the disk is not looked at.
    let attempt = |number| AttemptId { run: RunId(1), job: JobId(1), number, reign: 1 };
    let many = u32::try_from(KNOWN_MAX / 2).unwrap();
    shipper.known.extend((0..many).map(|number| (attempt(number), Known::default())));
    shipper.rest = true;
    shipper.learn().await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}
