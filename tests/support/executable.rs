//! Programs written on the spot, which can be executed at once. Knows nothing of plugins.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Writes a file, and returns when nobody has it open for writing.
///
/// The system executes no such file ("Text file busy"), and a process that another test starts meanwhile has every
/// descriptor of this one until it executes its own program. The lock belongs to all copies of the descriptor
/// together: whoever gets the next one knows that none is left.
pub fn write_executable(path: &Path, program: &mut impl Read) {
    let mut file = File::create(path).expect("a directory of our own");
    file.lock().expect("nobody else locks it");
    std::io::copy(program, &mut file).expect("there is room");
    drop(file);
    let written = File::open(path).expect("it was just written");
    written.lock_shared().expect("the copies are soon closed");
}
