//! `flashsale product delete`, `move` and `archive`.

use clap::Subcommand;
use serde_json::json;

use super::{
    arguments::{ReasonArgs, filled},
    product::ProductKeyArgs,
    service::CommandError,
};
use crate::tools::client::api::{ApiCall, ApiClient, ApiReply};

#[derive(Subcommand)]
pub(super) enum LifeCommand {
    /// Delete a product that never sold: no order of it was ever made, and no hold has units of it
    #[command(after_help = "Examples:\n  flashsale product delete 7 --reason \"a typo\"\n\n\
        One that sold cannot be deleted: `flashsale product archive`.")]
    Delete {
        #[command(flatten)]
        product: ProductKeyArgs,
        #[command(flatten)]
        reason: ReasonArgs,
    },
    /// Move a product that never sold to another sale, which exists
    #[command(after_help = "Examples:\n  flashsale product move 7 --to drop-2\n\n\
        For a moment nobody can hold it. After a timeout, repeat the command: it goes on where it was.")]
    Move {
        #[command(flatten)]
        product: ProductKeyArgs,
        /// Id of the sale
        #[arg(long, value_name = "SALE", value_parser = filled)]
        to: String,
        #[command(flatten)]
        reason: ReasonArgs,
    },
    /// Sell a product no more: only admins see it, and its holds and orders go on
    #[command(after_help = "Examples:\n  flashsale product archive 7\n  flashsale product archive 7 --undo")]
    Archive {
        #[command(flatten)]
        product: ProductKeyArgs,
        /// Sell it again
        #[arg(long)]
        undo: bool,
        #[command(flatten)]
        reason: ReasonArgs,
    },
}

/// The answer to the command. A deletion has none to show.
pub(super) async fn send(client: &mut ApiClient, command: &LifeCommand) -> Result<Option<ApiReply>, CommandError> {
    let call = match command {
        LifeCommand::Delete { product, reason } => {
            client.send(ApiCall::delete(reason.on(product.path()))).await?;
            return Ok(None);
        }
        LifeCommand::Move { product, to, reason } => {
            let mut body = json!({"sale": to});
            reason.add_to(&mut body);
            ApiCall::post(product.path().segment("move"), &body)
        }
        LifeCommand::Archive { product, undo, reason } => {
            let mut body = json!({"archived": !undo});
            reason.add_to(&mut body);
            ApiCall::patch(product.path(), &body)
        }
    };
    Ok(Some(client.send(call).await?))
}
