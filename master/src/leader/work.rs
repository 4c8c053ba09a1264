//! Orders as they go to a host: each start with the work that it carries.
//!
//! Pure: the same rows give the same work, however often an order is repeated (rule H4). How large
//! it may be is the kinds' to say ([`shared::kind::work`]): many of them fit a frame.

use super::ops::Orders;
use crate::engine::World;
use crate::engine::params;
use crate::engine::world::Todo;
use shared::ids::AttemptId;
use shared::wire::{Call, Order, OrderCall, Start, Work};

/// What can be sent, and the starts that cannot be made, with the words for it.
pub fn compose(
    world: &World,
    cluster: &str,
    orders: Orders,
) -> (OrderCall, Vec<(AttemptId, String)>) {
    let mut broken = Vec::new();
    let mut ready = Vec::with_capacity(orders.todo.len());
    for todo in orders.todo {
        match todo {
            Todo::Kill { attempt, incarnation, grace_ms } => {
                ready.push(Order::Kill { attempt, incarnation, grace_ms });
            }
            Todo::Start { attempt, basis, leased, timeout_ms, grace_ms } => {
                match work(world, attempt) {
                    Ok(Some(work)) => ready.push(Order::Start(Box::new(Start {
                        attempt,
                        basis,
                        leased,
                        timeout_ms,
                        grace_ms,
                        work,
                    }))),
                    // Its run has left the World meanwhile: nobody wants it any more.
                    Ok(None) => {}
                    Err(why) => broken.push((attempt, why)),
                }
            }
        }
    }
    let call = Call { cluster: cluster.to_owned(), leader: orders.leader };
    (OrderCall { call, stored: orders.stored, orders: ready }, broken)
}

fn work(world: &World, attempt: AttemptId) -> Result<Option<Work>, String> {
    let Some(run) = world.run(attempt.run) else { return Ok(None) };
    let unseen = world.unseen_before(attempt);
    params::work(world.catalog(), run, attempt, unseen).map(Some).map_err(|error| error.to_string())
}
