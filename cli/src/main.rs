//! The one binary. Everything it does is in the library; here are only the allocator and the exit code.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    leveret::run(std::env::args_os())
}
