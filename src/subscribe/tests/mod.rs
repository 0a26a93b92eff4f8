mod lists;
mod moves;
mod own;
mod resources;
mod stage;
mod views;
