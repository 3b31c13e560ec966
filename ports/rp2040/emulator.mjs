// A Raspberry Pi Pico: npm's rp2040js with the boot ROM, a flash chip in a file, and its USB serial
// port on a TCP port.
//
//     node emulator.mjs FOLDER BOOTROM FLASH      FOLDER/node_modules has rp2040js
//
// FLASH is the content of the whole chip, and always as new as the chip: to end this process is to
// cut the power. Reads one JSON request a line from standard input and ends with it:
//
//     {do: "cut", after, fraction}   Cut the power in the flash operation that follows `after` more,
//         when `fraction` of its bytes are done. An operation erases 4096 bytes or programs 256.
//     {do: "boot"}                   Let it run.
//     {do: "status"}                 Answered with {status: {operations, cycles, nanos}}.
//
// and writes one line for each of these events:
//
//     {listening}                    The TCP port, once it takes connections.
//     {connected: {cycles}}          USB is enumerated: the console works.
//     {reset: {operations}}          The board reset itself. USB, and so the connection, is gone.
//     {cut: {operation, kind, address, done, size}}   The power was cut; the process ends.
//     {fault, pc, lr}                Stopped, as below; the process ends.
//
// Where silicon would fault, rp2040js goes on; here the run stops: unaligned access, unknown
// instructions, jumps to what is not Thumb code, bkpt, memory that does not exist, writes to flash.
// MicroPython's own HardFault handler is a bkpt.
//
// Cycles are rp2040js's, as bare.mjs lists them. Not modelled: flash wait states and its cache, the
// time that flash takes to erase and program, the second core's share of the bus, interrupt entry.
// When the board has nothing to do, its clock runs ahead of the wall's.

import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const [folder, bootromFile, flashFile] = process.argv.slice(2);
const { RP2040, USBCDC } = createRequire(join(resolve(folder), "package.json"))("rp2040js");

const FLASH = 0x10000000;
const FLASH_WINDOW = 0x01000000; // repeated four times: cached, uncached ...
const FLASH_SIZE = 2 * 1024 * 1024;
const CACHE_CONTROL = 0x14000000; // there is no cache here
const CACHE_CONTROL_SIZE = 0x4000; // with its aliases that set and clear bits
const SRAM = 0x20000000;
const SRAM_SIZE = 264 * 1024;
const ROM_SIZE = 0x4000;
const SECTOR = 4096;
const PAGE = 256;
const WATCHDOG = 0x40058;

const INSTRUCTIONS_PER_TURN = 200_000;
// A long idle must not be one step: past 2**53 ns the clock would lose precision.
const MOST_IDLE_NANOS = 1e6;
const IDLE_NANOS_PER_TURN = 5e6;
const MOST_BYTES_WAITING = 256;

class Fault extends Error {}
class PowerCut extends Error {}

// rp2040js has its say about registers that it does not model; standard output is for events.
console.log = console.info = console.warn = console.debug = () => {};

const hex = (value) => "0x" + (value >>> 0).toString(16);
const report = (event) => writeSync(1, JSON.stringify(event) + "\n");

// ---- The flash chip

const bootrom = readFileSync(bootromFile);
const chip = openSync(flashFile, "r+");
const flash = Buffer.alloc(FLASH_SIZE, 0xff);
readSync(chip, flash, 0, FLASH_SIZE, 0);

let operations = 0;
let cut = { operation: Infinity, fraction: 0 };

// Calls `change` with the bytes of each operation that are done.
function operate(kind, address, size, step, change) {
  if (address % step || size % step || address + size > FLASH_SIZE) {
    throw new Fault(`flash ${kind} of ${size} bytes at ${hex(address)}`);
  }
  for (let at = address; at < address + size; at += step) {
    const now = ++operations === cut.operation;
    const done = now ? Math.floor(step * cut.fraction) : step;
    change(at, at + done);
    writeSync(chip, flash, at, done, at);
    if (now) {
      report({ cut: { operation: operations, kind, address: at, done, size: step } });
      throw new PowerCut();
    }
  }
}

function romFunction(code) {
  for (let at = bootrom.readUInt16LE(0x14); bootrom.readUInt16LE(at); at += 4) {
    if (bootrom.toString("latin1", at, at + 2) === code) {
      return bootrom.readUInt16LE(at + 2) & ~1;
    }
  }
  throw new Error(`the boot ROM has no function ${code}`);
}

const romErase = romFunction("RE");
const romProgram = romFunction("RP");

// ---- The chip

let mcu;
let core;
let clock;
let cdc;
let held; // a read of the USB OUT endpoint that waits for bytes
let pc = 0; // of the instruction that runs, or ran last
let nanosPerCycle;
let wantsReset = false;
let spentCycles = 0; // before the last reset

function viewOf(buffer, size) {
  const types = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array };
  return new types[size](buffer);
}

function makeStrict() {
  const views = ({ buffer }) => [1, 2, 4].map((size) => viewOf(buffer, size));
  const [sram8, sram16, sram32] = views(mcu.sram);
  const rom = views(mcu.flash);
  const [rom8, rom16, rom32] = rom;
  const [, boot16, boot32] = views(mcu.bootrom);

  const readUnaligned = (size, address) => {
    throw new Fault(`unaligned read of ${size} bytes at ${hex(address)}`);
  };
  const writeUnaligned = (size, address) => {
    throw new Fault(`unaligned write of ${size} bytes at ${hex(address)}`);
  };
  const inFlash = (address) => address >= FLASH && address < FLASH + 4 * FLASH_WINDOW;
  const inCacheControl = (address) =>
    address >= CACHE_CONTROL && address < CACHE_CONTROL + CACHE_CONTROL_SIZE;
  const readOther = (name, log2, where) => {
    const address = where >>> 0;
    if (inFlash(address)) {
      const at = address % FLASH_WINDOW;
      if (at >= FLASH_SIZE) {
        throw new Fault(`read of flash that does not exist at ${hex(address)}`);
      }
      return rom[log2][at >>> log2];
    }
    return inCacheControl(address) ? 0 : RP2040.prototype[name].call(mcu, address);
  };
  const writeOther = (name, where, value) => {
    const address = where >>> 0;
    if (inFlash(address)) {
      throw new Fault(`write to flash at ${hex(address)}`);
    }
    // The boot ROM ignores writes, and TinyUSB's endpoint 0 counts on it.
    if (address >= ROM_SIZE && !inCacheControl(address)) {
      RP2040.prototype[name].call(mcu, address, value);
    }
  };

  // Most of the emulator's time goes here: each width is written out.
  mcu.readUint32 = (address) => {
    if (address & 3) {
      readUnaligned(4, address);
    }
    const inSram = (address - SRAM) >>> 0;
    if (inSram < SRAM_SIZE) {
      return sram32[inSram >>> 2];
    }
    const inRom = (address - FLASH) >>> 0;
    if (inRom < FLASH_SIZE) {
      return rom32[inRom >>> 2];
    }
    return address >>> 0 < ROM_SIZE ? boot32[address >>> 2] : readOther("readUint32", 2, address);
  };
  mcu.readUint16 = (address) => {
    if (address & 1) {
      readUnaligned(2, address);
    }
    const inRom = (address - FLASH) >>> 0;
    if (inRom < FLASH_SIZE) {
      return rom16[inRom >>> 1];
    }
    const inSram = (address - SRAM) >>> 0;
    if (inSram < SRAM_SIZE) {
      return sram16[inSram >>> 1];
    }
    return address >>> 0 < ROM_SIZE ? boot16[address >>> 1] : readOther("readUint16", 1, address);
  };
  mcu.readUint8 = (address) => {
    const inSram = (address - SRAM) >>> 0;
    if (inSram < SRAM_SIZE) {
      return sram8[inSram];
    }
    const inRom = (address - FLASH) >>> 0;
    return inRom < FLASH_SIZE ? rom8[inRom] : readOther("readUint8", 0, address);
  };
  mcu.writeUint32 = (address, value) => {
    if (address & 3) {
      writeUnaligned(4, address);
    }
    const inSram = (address - SRAM) >>> 0;
    if (inSram < SRAM_SIZE) {
      sram32[inSram >>> 2] = value;
    } else {
      writeOther("writeUint32", address, value);
    }
  };
  mcu.writeUint16 = (address, value) => {
    if (address & 1) {
      writeUnaligned(2, address);
    }
    const inSram = (address - SRAM) >>> 0;
    if (inSram < SRAM_SIZE) {
      sram16[inSram >>> 1] = value;
    } else {
      writeOther("writeUint16", address, value);
    }
  };
  mcu.writeUint8 = (address, value) => {
    const inSram = (address - SRAM) >>> 0;
    if (inSram < SRAM_SIZE) {
      sram8[inSram] = value;
    } else {
      writeOther("writeUint8", address, value);
    }
  };

  mcu.onBreak = (code) => {
    throw new Fault(`bkpt or udf ${code}`);
  };
  const complain = (component, message) => {
    // Peripherals complain about registers that they do not model; the core and the bus do not.
    if (component === "RP2040" || component === "CortexM0Core") {
      throw new Fault(message);
    }
  };
  mcu.logger = { debug() {}, info() {}, warn: complain, error: complain };
  const jump = core.BXWritePC.bind(core);
  core.BXWritePC = (address) => {
    if (!(address & 1)) {
      throw new Fault(`jump to ${hex(address)}, which is not Thumb code`);
    }
    jump(address);
  };
}

// SysTick counts reload + 1 cycles from one zero to the next; rp2040js leaves out the one.
function correctSysTick() {
  const { systickTimer: timer, systickAlarm } = mcu.ppb;
  const { clockAlarm } = systickAlarm;
  clockAlarm.callback = () => {
    mcu.ppb.systickCountFlag = true;
    if (mcu.ppb.systickIntEnable) {
      core.pendingSystick = true;
      core.interruptsUpdated = true;
    }
    const reload = mcu.ppb.systickReload;
    timer.baseValue = reload;
    timer.baseNanos = clock.nanos + nanosPerCycle;
    if (timer.enable && reload) {
      clockAlarm.schedule((reload + 1) * nanosPerCycle);
    }
  };
}

function makeChip(watchdog) {
  mcu = new RP2040();
  clock = mcu.clock;
  core = mcu.core;
  mcu.loadBootrom(
    new Uint32Array(bootrom.buffer.slice(bootrom.byteOffset, bootrom.byteOffset + ROM_SIZE)),
  );
  mcu.flash.set(flash);
  nanosPerCycle = 1e9 / mcu.clkSys;
  mcu.addClockListener((frequency) => {
    nanosPerCycle = 1e9 / frequency;
  });
  makeStrict();
  correctSysTick();

  const dog = mcu.peripherals[WATCHDOG];
  if (watchdog) {
    dog.reason = watchdog.reason;
    dog.scratchData.set(watchdog.scratchData);
  }
  dog.onWatchdogTrigger = () => {
    wantsReset = true;
  };

  cdc = new USBCDC(mcu.usbCtrl);
  cdc.onDeviceConnected = () => report({ connected: { cycles: core.cycles } });
  cdc.onSerialData = (data) => client?.write(data);
  // A host sends nothing when it has nothing. rp2040js sends empty packets without end, and the
  // board would spend two thirds of its time on them.
  held = undefined;
  const read = mcu.usbCtrl.onEndpointRead;
  mcu.usbCtrl.onEndpointRead = (endpoint, size) => {
    if (endpoint === cdc.outEndpoint && cdc.txFIFO.empty) {
      held = () => read(endpoint, size);
    } else {
      read(endpoint, size);
    }
  };
  core.PC = FLASH; // as the boot ROM does once it has found valid flash
}

function reset() {
  wantsReset = false;
  report({ reset: { operations } });
  spentCycles += core.cycles;
  client?.destroy();
  typed.length = 0;
  makeChip(mcu.peripherals[WATCHDOG]);
}

function flashFunction() {
  const [address, second, count] = core.registers;
  if (pc === romErase) {
    operate("erase", address, second, SECTOR, (from, to) => flash.fill(0xff, from, to));
    mcu.flash.set(flash.subarray(address, address + second), address);
  } else {
    operate("program", address, count, PAGE, (from, to) => {
      for (let at = from; at < to; at++) {
        flash[at] &= mcu.readUint8(second + at - address);
      }
    });
    mcu.flash.set(flash.subarray(address, address + count), address);
  }
  core.PC = core.LR & ~1;
}

// Runs until it is time to look after the connection. Returns whether the board only waits, which
// is when it has slept for some milliseconds of its time.
function run() {
  const processor = core;
  const { registers } = processor;
  const time = clock;
  let idle = 0;
  for (let i = 0; i < INSTRUCTIONS_PER_TURN && !wantsReset; i++) {
    if (processor.waiting) {
      const nanos = Math.min(time.nanosToNextAlarm || 1000, MOST_IDLE_NANOS);
      time.tick(nanos);
      idle += nanos;
      if (idle >= IDLE_NANOS_PER_TURN) {
        return true;
      }
      continue;
    }
    idle = 0;
    pc = registers[15];
    if (pc < ROM_SIZE && (pc === romErase || pc === romProgram)) {
      flashFunction();
      continue;
    }
    const nanos = processor.executeInstruction() * nanosPerCycle;
    const { nextAlarm } = time;
    if (nextAlarm !== null && nextAlarm.nanos <= time.nanosCounter + nanos) {
      time.tick(nanos);
    } else {
      time.nanosCounter += nanos;
    }
  }
  return false;
}

function turn() {
  let idle;
  try {
    idle = run();
    if (wantsReset) {
      reset();
    }
  } catch (error) {
    if (error instanceof Fault) {
      // The PC is past the instruction, unless that could not even be read.
      const at = core.PC === pc ? pc : core.PC - 2;
      report({ fault: error.message, pc: hex(at), lr: hex(core.LR) });
    } else if (!(error instanceof PowerCut)) {
      throw error;
    }
    process.exit();
  }
  let taken = 0;
  while (taken < typed.length && cdc.txFIFO.itemCount < MOST_BYTES_WAITING) {
    cdc.sendSerialByte(typed[taken++]);
  }
  typed.splice(0, taken);
  if (held && !cdc.txFIFO.empty) {
    const read = held;
    held = undefined;
    read();
    idle = false;
  }
  if (idle) {
    setTimeout(turn, 0);
  } else {
    setImmediate(turn);
  }
}

// ---- The host's side

let client;
const typed = []; // bytes from the client that USB has not taken

const server = createServer({ noDelay: true }, (socket) => {
  client?.destroy();
  client = socket;
  socket.on("data", (data) => typed.push(...data));
  socket.on("error", () => {});
  socket.on("close", () => {
    if (client === socket) {
      client = undefined;
    }
  });
});

makeChip();
server.listen(0, "127.0.0.1", () => report({ listening: server.address().port }));
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  if (request.do === "boot") {
    turn();
  } else if (request.do === "cut") {
    cut = { operation: operations + request.after + 1, fraction: request.fraction };
  } else {
    const cycles = spentCycles + core.cycles;
    report({ status: { operations, cycles, nanos: clock.nanos } });
  }
}
closeSync(chip);
process.exit();
