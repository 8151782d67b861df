// Sends the letters of standard input through nodemailer's pool, fed as its manual advises: whenever it is idle.
const fs = require("fs");
const nodemailer = require("nodemailer");

const task = JSON.parse(fs.readFileSync(0, "utf8"));
const transport = nodemailer.createTransport({
  host: "127.0.0.1",
  port: task.port,
  ignoreTLS: true,
  pool: true,
  maxConnections: task.pool,
  maxMessages: Infinity,
});

const began = process.hrtime.bigint();
const used = process.cpuUsage();
let next = 0;
let left = task.letters.length;

function feed() {
  while (next < task.letters.length && transport.isIdle()) {
    transport.sendMail({ from: task.from, ...task.letters[next++] }, done);
  }
}

function done(error) {
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
  if (--left === 0) {
    const cpu = process.cpuUsage(used);
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    console.log(JSON.stringify({ seconds, cpu: (cpu.user + cpu.system) / 1e6 }));
    transport.close();
  }
}

transport.on("idle", feed);
feed();
