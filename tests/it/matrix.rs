//! The re-entrancy matrix: whatever runs may do anything, and all that should run afterwards does.

mod cells;
mod model;
mod things;
mod world;

use std::panic::{self, AssertUnwindSafe};

use tevent::Context;
use tevent_tests::{alone_with_signals, on_every_backend};

use cells::{Action, Cell, Kind, Role, Timing, exclusions};
use model::Model;
use world::World;

/// The orders in which a kernel may tell of descriptors that became ready.
const FD_ORDERS: [[Role; 3]; 6] = [
    [Role::Own, Role::Other, Role::Added],
    [Role::Own, Role::Added, Role::Other],
    [Role::Other, Role::Own, Role::Added],
    [Role::Other, Role::Added, Role::Own],
    [Role::Added, Role::Own, Role::Other],
    [Role::Added, Role::Other, Role::Own],
];

fn tell(backend: &str, cell: Cell, timing: Timing) {
    let ctx = Context::with_backend(backend).expect("it is listed");
    let world = World::new(ctx, cell, timing);
    let traces = world.traces();
    let models = FD_ORDERS.map(|fd_order| Model::new(cell, timing, fd_order).traces());
    if !models.contains(&traces) {
        assert_eq!(traces, models[0], "what ran, and what should have");
    }
    world.end();
}

#[test]
fn whatever_runs_may_do_anything() {
    let _alone = alone_with_signals();
    on_every_backend(|ctx| {
        let backend = ctx.backend();
        let cells = Cell::all();
        let included = cells.iter().filter(|cell| exclusions(**cell) == 0);
        for timing in [Timing::Before, Timing::Within] {
            for &cell in included.clone() {
                let told = AssertUnwindSafe(|| tell(backend, cell, timing));
                if let Err(panic) = panic::catch_unwind(told) {
                    let text = panic.downcast::<String>().map_or_else(
                        |panic| {
                            panic
                                .downcast::<&str>()
                                .map_or_else(|_| String::new(), |s| (*s).to_owned())
                        },
                        |text| *text,
                    );
                    panic!("{backend}, {cell:?}, ready {timing:?}: {text}");
                }
            }
        }
    });
}

#[test]
fn every_cell_is_told_or_excluded_once_with_a_reason() {
    let cells = Cell::all();
    assert_eq!(cells.len(), Kind::ALL.len() * Action::all().len());
    let (told, excluded): (Vec<_>, Vec<_>) = cells
        .iter()
        .copied()
        .partition(|cell| exclusions(*cell) == 0);
    assert_eq!(told.len() + excluded.len(), cells.len());
    for cell in excluded {
        assert_eq!(exclusions(cell), 1, "{cell:?}");
    }
    for (running, action, _) in cells::EXCLUDED {
        let names_one = |cell: &Cell| {
            running.is_none_or(|running| running == cell.running) && *action == cell.action
        };
        assert!(cells.iter().any(names_one), "{action:?} is a cell");
    }
}
