//! Home: is everything all right, in ten seconds.

use super::auth::Right;
use super::error::Result;
use super::{Page, Routes};
use minijinja::context;

pub(super) fn routes() -> Routes {
    Routes::default().get("/", Right::View, home)
}

async fn home(page: Page) -> Result {
    page.render("home.html", context! {})
}
