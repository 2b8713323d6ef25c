//! What the bounds buy, in a configuration small enough for every run of the tests.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test may panic as the test may"
)]

use dawn_sim::attack::Attack;
use dawn_sim::demo::DataSource;
use dawn_sim::robustness::defence::{DEFENCES, GroupRule};
use dawn_sim::robustness::{Defence, Plan, Results};

fn tiny(attacks: &[Attack], defences: &[Defence]) -> Results {
    let plan = Plan {
        devices: 20,
        rounds: 5,
        groups: 10,
        model: "logistic:64-10".parse().unwrap(),
        attacks: attacks.to_vec(),
        shares: vec![0.2],
        defences: defences.to_vec(),
        ..Plan::full(DataSource::Digits)
    };
    plan.run(|_| ()).unwrap()
}

#[test]
fn the_norm_proof_keeps_what_long_vectors_would_destroy() {
    let defences = [Defence::Undefended, Defence::Norm];
    let results = tiny(&[Attack::Scale, Attack::SignFlip], &defences);
    let honest = results.cell("", 0.0, "norm").unwrap();
    assert_eq!(honest.honest_refused, 0);
    assert!(honest.accuracy > 0.8, "{honest:?}");
    // Without attackers nothing is refused, so that both are the same training.
    assert_eq!(
        honest.accuracy,
        results.cell("", 0.0, "undefended").unwrap().accuracy
    );
    // Of both attacks nothing is left: under a norm proof they are one training.
    assert_eq!(results.trainings, 5);
    for attack in ["scale", "sign-flip"] {
        let undefended = results.cell(attack, 0.2, "undefended").unwrap();
        let norm = results.cell(attack, 0.2, "norm").unwrap();
        assert_eq!(
            (undefended.malicious_accepted, norm.malicious_accepted),
            (1.0, 0.0)
        );
        assert_eq!(norm.honest_refused, 0);
        assert!(undefended.accuracy < norm.accuracy - 0.2, "{undefended:?}");
        assert!(norm.accuracy > honest.accuracy - 0.05, "{norm:?}");
    }
}

#[test]
fn the_direction_refuses_what_goes_backwards_within_the_bound() {
    let results = tiny(&[Attack::WithinBound], &[Defence::Norm, Defence::Direction]);
    let norm = results.cell("within-bound", 0.2, "norm").unwrap();
    let direction = results.cell("within-bound", 0.2, "norm+direction").unwrap();
    assert_eq!(norm.malicious_accepted, 1.0);
    // The first round has no direction yet, and what is wrong then may turn the second one's.
    assert!(direction.malicious_accepted < 0.7, "{direction:?}");
    assert_eq!(direction.honest_refused, 0);
    assert!(direction.accuracy > norm.accuracy, "{norm:?} {direction:?}");
}

#[test]
fn every_defence_learns_without_attackers_and_the_same_again() {
    let all: Vec<Defence> = DEFENCES.iter().map(|(_, defence)| *defence).collect();
    let results = tiny(&[], &all);
    assert_eq!(results.cells.len(), all.len());
    for cell in &results.cells {
        assert!(cell.accuracy > 0.6, "{cell:?}");
    }
    let again = Defence::Groups {
        rule: GroupRule::Median,
        mixing: true,
    };
    let accuracy = |results: &Results| results.cell("", 0.0, "median+mixing").unwrap().accuracy;
    assert_eq!(accuracy(&tiny(&[], &[again])), accuracy(&results));
    let table = results.markdown();
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(results.html().ends_with("</html>"));
}
