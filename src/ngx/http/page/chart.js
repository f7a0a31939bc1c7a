'use strict';

/*
 * Two rates of a row as a chart: received as an area, sent as a line.  It is a
 * picture only: what it says is beside it as text.
 */

class Chart {
    constructor(width, height) {
        this.width = width;
        this.height = height;
        this.area = el('path', { 'class': 'received' });
        this.line = el('path', { 'class': 'sent' });
        this.element = el('svg', {
            'class': 'chart',
            'viewBox': `0 0 ${width} ${height}`,
            'preserveAspectRatio': 'none',
            'aria-hidden': 'true',
            'focusable': 'false',
        }, el('line', { 'class': 'ground', x1: 0, x2: width,
            y1: height - 0.5, y2: height - 0.5 }), this.area, this.line);
    }

    draw(history, row) {
        const most = history.largest(row) || 1;

        this.area.setAttribute('d', this.path(history, row, 0, most, true));
        this.line.setAttribute('d', this.path(history, row, 1, most, false));
    }

    path(history, row, i, most, closed) {
        const ground = this.height - 1;
        let path = '', start = null, last = null;

        const finish = () => {
            if (closed && start !== null) {
                path += `L${last} ${ground}L${start} ${ground}Z`;
            }

            start = null;
        };

        history.each(row, i, (x, y) => {
            if (Number.isNaN(y)) return finish();

            last = (x * this.width).toFixed(1);
            path += (start === null ? 'M' : 'L') + last + ' '
                + (ground - y / most * (ground - 1)).toFixed(1);
            if (start === null) start = last;
        });

        finish();
        return path;
    }
}
