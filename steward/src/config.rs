//! The steward's configuration file (TOML).

use std::collections::BTreeMap;
use std::path::PathBuf;

use dawn_identity::{Digest, OrgId};
use serde::{Deserialize, Serialize};

/// What a steward is told by the organisation that runs it.
///
/// ```
/// let text = r#"
/// aggregator = "https://dawn.example.org"
/// data_dir = "/var/lib/dawn-steward"
/// guard_dir = "/var/lib/dawn-steward-guard"
/// federation = "1f0c8d0b2f3a4c5e6d7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5"
/// key_file = "/etc/dawn/steward.pem"
/// vrf_key_file = "/etc/dawn/vrf.key"
/// org = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9"
///
/// [budgets]
/// "clinic-records" = 2000000
/// "#;
/// let config: dawn_steward::StewardConfig = toml::from_str(text).unwrap();
/// assert_eq!(config.poll_wait_seconds, 30);
/// assert_eq!(config.budgets["clinic-records"], 2_000_000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StewardConfig {
    /// The aggregator's address.
    pub aggregator: String,
    /// Where the store is. Back it up as you like.
    pub data_dir: PathBuf,
    /// Where the guard and the secrets of open rounds are. **Not to be backed up or restored**: it is how the steward
    /// notices that the store was. See [`crate::guard`].
    pub guard_dir: PathBuf,
    /// The digest of the founding document, in hexadecimal: the root of everything that this steward believes.
    pub federation: Digest,
    /// The steward's secret key (PKCS#8 PEM).
    pub key_file: PathBuf,
    /// The secret key of its part of every round's beacon ([`crate::vrf_key`]): another one than the one above.
    pub vrf_key_file: PathBuf,
    /// The organisation that runs this steward.
    pub org: OrgId,
    /// The most that may be spent on a data source over all tasks, in micro-rho. A data source without an entry is
    /// limited by each task's own budget only.
    #[serde(default)]
    pub budgets: BTreeMap<String, u64>,
    /// After a loss of the guard: what has been spent on data sources so far, in micro-rho. Without an entry, a data
    /// source that has a limit above is not opened for any more.
    #[serde(default)]
    pub restated_spending: BTreeMap<String, u64>,
    /// How long to ask the aggregator to wait for work, in seconds.
    #[serde(default = "default_poll_wait")]
    pub poll_wait_seconds: u32,
}

fn default_poll_wait() -> u32 {
    30
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
        aggregator = "http://127.0.0.1:8080"
        data_dir = "a"
        guard_dir = "b"
        federation = "0000000000000000000000000000000000000000000000000000000000000001"
        key_file = "c"
        vrf_key_file = "d"
        org = "0000000000000000000000000000000000000000000000000000000000000002"
    "#;

    #[test]
    fn the_optional_parts_are_optional_and_unknown_ones_refused() {
        let config: StewardConfig = toml::from_str(MINIMAL).expect("minimal");
        assert!(config.budgets.is_empty() && config.restated_spending.is_empty());
        let again: StewardConfig =
            toml::from_str(&toml::to_string(&config).expect("write")).expect("read");
        assert_eq!(again, config);
        assert!(toml::from_str::<StewardConfig>(&format!("{MINIMAL}\nbudget = 3\n")).is_err());
        assert!(
            toml::from_str::<StewardConfig>(&MINIMAL.replace("guard_dir = \"b\"", "")).is_err()
        );
        assert!(toml::from_str::<StewardConfig>(&MINIMAL.replace("0001", "1")).is_err());
    }
}
