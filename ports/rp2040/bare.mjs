// A bare Cortex-M0+: runs kernels in the SRAM of an emulated RP2040 (npm rp2040js) and counts cycles.
//
//     node bare.mjs FOLDER      FOLDER/node_modules has rp2040js
//
// Reads one JSON request a line from standard input and answers each with one line:
//
//     {do: "load", code, entry, params, inputs, outputs, scratch, offset}
//         Places a kernel and its operands. code, params: base64. entry: offset in code.
//         inputs, outputs, scratch: [typecode, bytes] of each operand.
//         offset: bytes by which inputs miss a multiple of 16.    -> {}
//     {do: "check"}             Calls the kernel with WB_CHECK.   -> {status, cycles, instructions}
//     {do: "run", rows, data}   Calls it with WB_RUN for each row. data: base64, each row with all
//         inputs one after the other.           -> {status, cycles, instructions: [rows], outputs}
//
// or with {error} where the run was stopped.
//
// Cycles are rp2040js's. Modelled: 1 for most instructions, loads and stores 2, taken branches,
// bx and blx 2, bl 3, ldm, stm, push and pop 1 + registers, pop of the PC 2 more, mul 1. Code and
// data are in SRAM, without waits. Not modelled: the register LR in a push and PC in a pop, each of
// which takes 1 more cycle on silicon; flash and its cache; other masters on the bus; interrupts.
// The call itself (the caller's bl or blx) is not counted; the return is.
//
// Whatever a Cortex-M0+ turns into a fault stops the run, and so do a bkpt, access to memory that
// the kernel was not given, writes to code, parameters, inputs or the call record, and a change of
// a register that the caller owns.

import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const { RP2040 } = createRequire(join(resolve(process.argv[2]), "package.json"))("rp2040js");

const SRAM = 0x20000000;
const SRAM_SIZE = 264 * 1024;
const STACK_SIZE = 2048;
const STACK_TOP = SRAM + SRAM_SIZE - 16;
const RETURN = 0x10000000; // nothing is there: the run ends when the kernel jumps to it
const MOST_INSTRUCTIONS = 200e6;

const READ = 1;
const WRITE = 2;
const MAX_OPERANDS = 4;
const RECORD_SIZE = 4 * (5 + 3 * MAX_OPERANDS); // wb_call_t of device/kernels/kernel.h
const PHASE_CHECK = 0;
const PHASE_RUN = 1;
const NOT_DUE = 1; // of a run: no error

const FIRST_SAVED = 4;
const LAST_SAVED = 11;
const SP = 13;
const LR = 14;

const mcu = new RP2040();
const core = mcu.core;
const sram = mcu.sramView;
const rights = new Uint8Array(SRAM_SIZE);

let loaded;

class Fault extends Error {}

function hex(value) {
  return "0x" + (value >>> 0).toString(16);
}

let instruction = SRAM; // address of the one that runs, or ran last

function fault(what) {
  const place = loaded ? ` (offset ${hex(instruction - loaded.code)} in the kernel)` : "";
  throw new Fault(`${what} at pc ${hex(instruction)}${place}`);
}

// ---- Memory

function check(address, size, right) {
  const offset = (address >>> 0) - SRAM;
  const name = right === WRITE ? "write" : "read";
  if (offset & (size - 1)) {
    fault(`unaligned ${name} of ${size} bytes at ${hex(address)}`);
  }
  if (offset < 0 || offset >= SRAM_SIZE || !(rights[offset] & rights[offset + size - 1] & right)) {
    fault(`${name} of ${size} bytes at ${hex(address)}, outside of what the kernel may ${name}`);
  }
  return offset;
}

mcu.readUint32 = (address) => sram.getUint32(check(address, 4, READ), true);
mcu.readUint16 = (address) => sram.getUint16(check(address, 2, READ), true);
mcu.readUint8 = (address) => sram.getUint8(check(address, 1, READ));
mcu.writeUint32 = (address, value) => sram.setUint32(check(address, 4, WRITE), value, true);
mcu.writeUint16 = (address, value) => sram.setUint16(check(address, 2, WRITE), value, true);
mcu.writeUint8 = (address, value) => sram.setUint8(check(address, 1, WRITE), value);

mcu.onBreak = (code) => fault(`bkpt or udf ${code}`);
const complain = (component, message) => fault(message);
mcu.logger = { debug() {}, info() {}, warn: complain, error: complain };
core.BXWritePC = (address) => {
  if (!(address & 1)) {
    fault(`jump to ${hex(address)}, which is not Thumb code`);
  }
  core.PC = address & ~1;
};

// ---- Placing

let free;

function place(size, right, offset = 0) {
  // The gap between regions is never accessible.
  const address = ((free + 31) & ~15) + offset;
  free = address + size;
  if (free > STACK_TOP - STACK_SIZE - 16) {
    throw new Fault(`the kernel and its operands do not fit into ${SRAM_SIZE} bytes of SRAM`);
  }
  rights.fill(right, address - SRAM, address - SRAM + size);
  return address;
}

function load(request) {
  loaded = undefined;
  rights.fill(0);
  free = SRAM;
  const code = Buffer.from(request.code, "base64");
  const params = Buffer.from(request.params, "base64");
  const call = { codeSize: code.length, paramsSize: params.length };
  call.code = place(code.length, READ);
  call.entry = call.code + request.entry;
  call.params = place(params.length, READ);
  call.record = place(RECORD_SIZE, READ);
  const placed = (operands, right, offset) =>
    operands.map(([typecode, size]) => ({
      typecode: typecode.charCodeAt(0),
      size,
      // The arena pads what a kernel writes to a multiple of 4 bytes, and the kernel may use that.
      address: place(right & WRITE ? (size + 3) & ~3 : size, right, offset),
    }));
  call.inputs = placed(request.inputs, READ, request.offset);
  call.outputs = placed(request.outputs, READ | WRITE);
  call.scratch = placed(request.scratch, READ | WRITE);
  rights.fill(READ | WRITE, STACK_TOP - STACK_SIZE - SRAM, STACK_TOP - SRAM);
  mcu.sram.set(code, call.code - SRAM);
  mcu.sram.set(params, call.params - SRAM);
  call.rowSize = call.inputs.reduce((sum, input) => sum + input.size, 0);
  loaded = call;
  return {};
}

function writeRecord(phase) {
  const operands = [...loaded.inputs, ...loaded.outputs, ...loaded.scratch];
  const words = [phase, loaded.paramsSize, loaded.params, loaded.inputs.length, operands.length];
  for (const operand of operands) {
    words.push(phase === PHASE_RUN ? operand.address : 0, operand.size, operand.typecode);
  }
  for (let i = 0; i < RECORD_SIZE / 4; i++) {
    sram.setUint32(loaded.record - SRAM + 4 * i, words[i] ?? 0, true);
  }
}

// ---- Calling

function execute() {
  const registers = core.registers;
  for (let i = 1; i <= LR; i++) {
    registers[i] = 0xdead0000 + i;
  }
  registers[0] = loaded.record;
  registers[SP] = STACK_TOP;
  registers[LR] = RETURN | 1;
  core.N = core.Z = core.C = core.V = false;
  core.PC = loaded.entry;
  const end = loaded.code + loaded.codeSize;
  const before = core.cycles;
  let instructions = 0;
  instruction = loaded.entry;
  for (let pc = loaded.entry; pc !== RETURN; pc = core.PC >>> 0) {
    if (pc < loaded.code || pc >= end) {
      fault(`jump to ${hex(pc)}, outside of the kernel,`);
    }
    instruction = pc;
    if (++instructions > MOST_INSTRUCTIONS) {
      fault(`no return after ${MOST_INSTRUCTIONS} instructions`);
    }
    core.executeInstruction();
    if (core.waiting) {
      fault("wfi or wfe");
    }
  }
  for (let i = FIRST_SAVED; i <= LAST_SAVED; i++) {
    if (registers[i] !== 0xdead0000 + i) {
      fault(`return with another r${i} than before the call`);
    }
  }
  if (registers[SP] !== STACK_TOP) {
    fault("return with another stack pointer than before the call");
  }
  return { status: registers[0] | 0, cycles: core.cycles - before, instructions };
}

function run(request) {
  writeRecord(PHASE_RUN);
  const data = Buffer.from(request.data, "base64");
  const answer = { status: 0, cycles: [], instructions: [] };
  const outputs = [];
  for (let row = 0; row < request.rows && answer.status === 0; row++) {
    let at = row * loaded.rowSize;
    for (const input of loaded.inputs) {
      mcu.sram.set(data.subarray(at, at + input.size), input.address - SRAM);
      at += input.size;
    }
    for (const buffer of [...loaded.outputs, ...loaded.scratch]) {
      // What a kernel does not write must not look right.
      mcu.sram.fill(0xa5, buffer.address - SRAM, buffer.address - SRAM + buffer.size);
    }
    const { status, cycles, instructions } = execute();
    answer.status = status === NOT_DUE ? 0 : status;
    answer.cycles.push(cycles);
    answer.instructions.push(instructions);
    for (const { address, size } of loaded.outputs) {
      outputs.push(mcu.sram.slice(address - SRAM, address - SRAM + size));
    }
  }
  answer.outputs = Buffer.concat(outputs).toString("base64");
  return answer;
}

function answer(request) {
  if (request.do === "load") {
    return load(request);
  }
  if (loaded === undefined) {
    throw new Fault("nothing is loaded");
  }
  if (request.do === "check") {
    writeRecord(PHASE_CHECK);
    return execute();
  }
  return run(request);
}

for await (const line of createInterface({ input: process.stdin })) {
  let reply;
  try {
    reply = answer(JSON.parse(line));
  } catch (error) {
    if (!(error instanceof Fault)) {
      throw error;
    }
    reply = { error: error.message };
  }
  process.stdout.write(JSON.stringify(reply) + "\n");
}
