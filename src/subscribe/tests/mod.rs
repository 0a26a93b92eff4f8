mod lists;
mod moves;
mod resources;
mod stage;
