//! Bytes that mean nothing, and bytes that almost mean something: refused or reported, never a panic, nothing signed
//! that does not follow.

use std::cell::RefCell;

use dawn_protocol::{PackageItem, PackagePage};
use dawn_steward::{BeaconStep, ListWork, ReportWork, StewardState};
use proptest::prelude::*;

use crate::world::{ClosedRound, World};

struct Ready {
    world: World,
    state: StewardState,
    closed: ClosedRound,
}

thread_local! {
    static READY: RefCell<Option<Ready>> = const { RefCell::new(None) };
}

/// A round that waits for its report; made once, because no case uses it up.
fn with_ready<T>(f: impl FnOnce(&mut Ready) -> T) -> T {
    READY.with_borrow_mut(|ready| {
        f(ready.get_or_insert_with(|| {
            let mut world = World::new();
            let state = world.start();
            let (_, closed) = world.closed_round(&state, &[0, 1, 2]);
            Ready {
                world,
                state,
                closed,
            }
        }))
    })
}

fn work(ready: &mut Ready) -> ReportWork {
    let begun = ready.world.begin_report(&ready.state, &ready.closed, 10);
    begun
        .expect("begun")
        .expect("a page of garbage was reported on")
}

fn list(ready: &mut Ready) -> ListWork {
    let (announcement, statement) = (&ready.closed.announcement, &ready.closed.statement);
    let step = ready
        .state
        .share_beacon(announcement, statement, &mut ready.world.rng);
    match step.expect("begun") {
        BeaconStep::Pages(list) => *list,
        BeaconStep::Answered(_) => panic!("a page of garbage was answered"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_pages_are_refused(
        first in prop_oneof![Just(0u32), any::<u32>()],
        items in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), prop::collection::vec(any::<u8>(), 0..300)), 0..5),
        next in any::<Option<u32>>(),
    ) {
        with_ready(|ready| {
            let items = items.into_iter().map(|(header, package)| PackageItem { header, package }).collect();
            let page = PackagePage { first, items, next };
            assert!(work(ready).page(&page).is_err());
            assert!(list(ready).page(&page).is_err());
        });
    }

    /// One byte of an honest page is changed: the page is refused, or the report would be (its root is another one), or
    /// only a package changed and the steward complains about it.
    #[test]
    fn a_changed_byte_never_becomes_a_share(item in 0usize..3, in_header in any::<bool>(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        with_ready(|ready| {
            let mut page = ready.closed.page(0, 10);
            let bytes = if in_header { &mut page.items[item].header } else { &mut page.items[item].package };
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let mut work = work(ready);
            let taken = work.page(&page);
            if in_header {
                assert!(taken.is_err());
                let mut list = list(ready);
                if list.page(&page).is_ok() {
                    assert!(ready.state.finish_beacon(list, &mut ready.world.rng).is_err());
                }
            } else {
                taken.expect("packages are only complained about");
                assert_eq!(work.complaints(), 1);
            }
        });
    }
}
