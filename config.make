# the page of "trp_status" is made of its sources

cat << END                                                    >> $NGX_MAKEFILE

$NGX_OBJS/ngx_trp_http_page_parts.c:	$ngx_addon_dir/scripts/page \\
		`echo $ngx_addon_dir/src/ngx/http/page/*`
	$ngx_addon_dir/scripts/page c \$@

END
