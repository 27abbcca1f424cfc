/**
 * How V8 compiles WebAssembly, for the whole process: once, quickly, and never again. The SQL parser is a module of
 * megabytes that is called a few times for each statement; V8 would compile its functions a second time as they get
 * warm, which takes 600 MB of memory for a while and, over the first thousands of statements, three times the CPU.
 *
 * Imported ahead of the parser, since the flags count when a module is loaded. A version of V8 that does not know one
 * says so on standard error and goes on.
 */
import { setFlagsFromString } from 'node:v8'

for (const flag of ['--no-wasm-dynamic-tiering', '--no-wasm-tier-up']) setFlagsFromString(flag)
