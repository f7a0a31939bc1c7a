package Bench::Plot;

# The results as SVG: a panel for each figure, a bar for each way.

use strict;
use warnings;

use List::Util qw/ max /;

use Bench::Report;
use Bench::Way;

# method, figure, title, more is better

my @panels = (
    [ up1 => rate => 'bulk, 1 stream, Mbit/s', 1 ],
    [ up8 => rate => 'bulk, 8 streams, Mbit/s', 1 ],
    [ up1 => cpu => 'CPU s per GB, 1 stream' ],
    [ keepalive => rate => 'keep-alive requests/s', 1 ],
    [ new => rate => 'new connections/s', 1 ],
    [ new => cpu => 'CPU s per 1,000 new connections' ],
    [ connect => p99 => 'new connection, 16 clients, p99 in ms' ],
    [ rtt16 => p50 => 'new connection, 20 ms RTT per leg, p50 in ms' ],
    [ rtt64 => p50 => 'the same with 64 clients, p50 in ms' ],
    [ open1000 => sum => 'private KiB per open stream, all roles' ],
);

use constant {
    COLUMNS => 2, WIDTH => 470, ROW => 20, HEAD => 44, LABEL => 190,
    BAR => 200, GAP => 20,
};


sub svg {
    my ($report) = @_;
    my ($svg, $x, $y, $column, $tallest) = ('', 0, 0, 0, 0);

    for my $panel (@panels) {
        my ($part, $height) = panel($report, @$panel) or next;

        if ($column == COLUMNS) {
            ($column, $y, $tallest) = (0, $y + $tallest + GAP, 0);
        }

        $svg .= sprintf qq{<g transform="translate(%d %d)">\n%s</g>\n},
            10 + $column++ * WIDTH, 10 + $y, $part;
        $tallest = max($tallest, $height);
    }

    return sprintf <<'END', (COLUMNS * WIDTH + 20, $y + $tallest + 20) x 2, $svg;
<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="#fff"/>
%s</svg>
END
}

# Direct is a remark, not a bar, which would make all others small.

sub panel {
    my ($report, $method, $figure, $title, $more) = @_;
    my %value = map { $_ => $report->middle($method, $_, $figure) }
        Bench::Way->ways();
    my @ways = grep { $_ ne 'direct' && defined $value{$_} }
        Bench::Way->ways();

    return if !@ways;

    my $most = max(map { $value{$_} } @ways) || 1;
    my $svg = sprintf qq{<text y="14" font-weight="bold">%s</text>\n}
        . qq{<text y="30" fill="#666">%s%s</text>\n}, $title,
        $more ? 'more is better' : 'less is better',
        defined $value{direct} && $figure ne 'cpu' && $figure ne 'sum'
            ? '; direct: ' . Bench::Report::cell($value{direct}) : '';

    for my $i (0 .. $#ways) {
        my $way = $ways[$i];
        my $y = HEAD + $i * ROW;

        $svg .= sprintf qq{<text x="0" y="%d">%s</text>}
            . qq{<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>}
            . qq{<text x="%.1f" y="%d">%s</text>\n}, $y + 10,
            Bench::Way->title($way), LABEL, $y,
            max(0, $value{$way}) / $most * BAR, ROW - 6,
            $way =~ /^(?:trp|hub)$/ ? '#1769aa' : '#b8c4ce',
            LABEL + 5 + max(0, $value{$way}) / $most * BAR, $y + 10,
            Bench::Report::cell($value{$way});
    }

    return ($svg, HEAD + @ways * ROW);
}


1;
