//! `bailiwick clock`.

use anyhow::{Result, bail};
use bailiwick_authority::{AcceptedClock, Administrator, AuthorityError};

use crate::assemble;
use crate::config::Config;
use crate::print;

pub(crate) async fn accept(is_sure: bool, config: &Config, as_json: bool) -> Result<()> {
    let (authority, _audit) = assemble::authority(config)?;
    match authority.check_clock().await {
        Err(AuthorityError::ClockBehind { now, latest }) if !is_sure => bail!(
            "the clock says {now}, but {latest} was seen before; if it is wrong now, set it right; \
             if it was ahead before, add --yes: agents need new tokens then"
        ),
        _ => {}
    }
    let accepted = authority.accept_clock(&Administrator::CommandLine).await?;
    if as_json {
        return print::json(&accepted);
    }
    let AcceptedClock { now, before, kid } = accepted;
    print::line(format!(
        "{now} counts now, and no longer {before}; tokens of agents are refused, and new ones are \
         signed with the key {kid}"
    ))
}
