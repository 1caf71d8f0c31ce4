//! Programs that do not describe themselves: argparse, click and typer parsers watched, help texts read.
