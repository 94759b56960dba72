//! Connects the Rust crate `ibapi` to a gateway and asks what the other clients here ask. Says nothing if all of it was answered.
//!
//! Usage: `rust_client HOST PORT CLIENT_ID SECONDS`

use std::error::Error;
use std::time::Duration;

use ibapi::contracts::Contract;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, client_id, seconds] = arguments.as_slice() else {
        return Err("usage: rust_client HOST PORT CLIENT_ID SECONDS".into());
    };
    let limit = Duration::from_secs(seconds.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (gateway, client_id) = (format!("{host}:{port}"), client_id.parse()?);
    runtime.block_on(async { tokio::time::timeout(limit, talk(&gateway, client_id, limit)).await? })
}

async fn talk(gateway: &str, client_id: i32, limit: Duration) -> Result<(), Box<dyn Error>> {
    let client = ibapi::Client::builder().address(gateway).client_id(client_id).connect().await?;
    client.server_time().await?;
    client.next_valid_order_id().await?;
    client.contract_details(&Contract::forex("EUR", "USD").build()).await?;
    client.positions().await?.next_batch(limit).await.ok_or("the positions ended")??;
    client.disconnect().await;
    Ok(())
}
