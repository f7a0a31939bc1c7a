'use strict';

/*
 * Rates, made of counters at the times when they were read, for the last five
 * minutes.  All rows share the times; a row has two rates at each of them, NaN
 * where it was not there.
 */

const samples = 160;
const window_ms = 300000;

class Rates {
    constructor() {
        this.times = new Float64Array(samples).fill(NaN);
        this.now = -1;                       /* index of the last reading */
        this.rows = new Map();
    }

    /* a new reading, at a time in milliseconds */

    begin(time) {
        this.before = this.now < 0 ? NaN : this.times[this.now];
        this.now = (this.now + 1) % samples;
        this.times[this.now] = time;
        this.round = (this.round || 0) + 1;
    }

    /* a row's counters now, or rates if they are known */

    add(key, received, sent, known) {
        let row = this.rows.get(key);

        if (!row) {
            row = {
                rates: [ new Float32Array(samples).fill(NaN),
                         new Float32Array(samples).fill(NaN) ],
                last: [ NaN, NaN ],
                round: 0,
            };
            this.rows.set(key, row);
        }

        const seconds = (this.times[this.now] - this.before) / 1000;
        const follows = row.round === this.round - 1;

        [ received, sent ].forEach((value, i) => {
            const change = value - row.last[i];

            /* a counter that is smaller has begun again */

            row.rates[i][this.now] = known ? value
                : follows && change >= 0 && seconds > 0 ? change / seconds
                : NaN;
            row.last[i] = value;
        });

        row.round = this.round;
        return row;
    }

    /* what was not added is no longer there */

    end() {
        for (const [ key, row ] of this.rows) {
            if (row.round === this.round) continue;

            if (this.round - row.round > samples) this.rows.delete(key);
            row.rates.forEach(rates => { rates[this.now] = NaN; });
            row.last.fill(NaN);
        }
    }

    /* a row's rate now: 0 received, 1 sent */

    rate(row, i) {
        return row ? row.rates[i][this.now] : NaN;
    }

    /* calls for each time that is not too long ago, the oldest first */

    each(row, i, code) {
        const end = this.times[this.now];

        for (let n = 1; n <= samples; n++) {
            const at = (this.now + n) % samples;
            const age = end - this.times[at];

            if (age >= 0 && age <= window_ms) {
                code(1 - age / window_ms, row.rates[i][at]);
            }
        }
    }

    largest(row) {
        let most = 0;

        for (const i of [ 0, 1 ]) {
            this.each(row, i, (x, y) => { if (y > most) most = y; });
        }

        return most;
    }
}
