//! Who looks on at what lives on a Carte, from its start to its end and back. What only a stand-in can be told to do is tried
//! in `tests/host/carte`.

#[path = "../../host/carte/children.rs"]
mod children;
mod rounds;
#[expect(dead_code, reason = "the other tests need more of it")]
#[path = "../../host/carte/server.rs"]
mod server;
