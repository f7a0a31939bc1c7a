package Test::Nginx::TRP::AgentSettings;

# Configurations of an entry and a reverse with settings that both have.
#
#     test_agent_settings($t, 'proxy', \%all, \@good, \@bad);
#
# Lines have P for "trp_entry_proxy" and "trp_reverse_proxy"; %all has a text of
# each of these names, @bad pairs of a line and its message.  The directory has
# localhost.crt and key.  It is 1 + @good + @bad tests for each of both.

use strict;
use warnings;

use Exporter qw/ import /;
use Test::More;

use Test::Nginx;
use Test::Nginx::TRP;

our @EXPORT = qw/ test_agent_settings /;


sub test_agent_settings {
    my ($t, $name, $all, $good, $bad) = @_;

    for my $role (qw/ entry reverse /) {
        my $prefix = "trp_${role}_$name";
        my $named = sub { return $_[0] =~ s/\bP(?=[_ "])/$prefix/gr };

        like(_conf($t, $role, $all->{$prefix}), qr/test is successful$/,
            "$prefix, all");

        for my $line (@$good) {
            like(_conf($t, $role, $named->($line)), qr/test is successful$/,
                "$prefix, good: " . substr($line, 0, 50));
        }

        for my $case (@$bad) {
            my ($line, $message) = @$case;
            my $text = $named->($message);

            like(_conf($t, $role, $named->($line)),
                qr/\[emerg\] [^\n]*$text.*failed$/s, "$prefix, $line");
        }
    }
}


sub _conf {
    my ($t, $role, $settings) = @_;
    my %at = (entry => '', reverse => '', $role => $settings);

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:%%PORT_8443%%;

        trp_entry;
        trp_entry_key key;
        trp_entry_ssl_trusted_certificate localhost.crt;
        $at{entry}
    }

    server {
        trp_route %%PORT_8080%%:80 bind=127.0.0.1;
        proxy_pass relay;
    }

    server {
        trp_reverse relay;
        trp_reverse_key key;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        $at{reverse}
        proxy_pass \$trp_destination;
    }
}
EOC

    return nginx_test($t);
}

1;
